#include "crescendo/config/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "crescendo/base/error.h"

namespace crescendo::config {
namespace {

// An option has two; a variant's, three or four.
constexpr int kMostParts = 32;

// Where the string that begins at `begin` ends: behind its closing quotes, or at the end of its line or of the text.
size_t EndOfString(std::string_view text, size_t begin) {
  const char quote = text[begin];
  const bool has_escapes = quote == '"';
  const std::string three(3, quote);
  const bool many_lines = text.substr(begin, 3) == three;
  for (size_t at = begin + (many_lines ? 3 : 1); at < text.size(); ++at) {
    if (has_escapes && text[at] == '\\') {
      ++at;
    } else if (many_lines ? text.substr(at, 3) == three : text[at] == quote) {
      return at + (many_lines ? 3 : 1);
    } else if (!many_lines && text[at] == '\n') {
      return at;
    }
  }
  return text.size();
}

// Outside of strings and comments, dots that nothing but parts of a key stands between join such parts.
void RequireShortKeys(std::string_view text, const std::string& name) {
  int parts = 1;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = EndOfString(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.' && ++parts > kMostParts) {
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
      const size_t newline = text.rfind('\n', at);
      throw UserError(
          fmt::format("{}:{}:{}: this key has more than {} parts; that of an option has two, as in "
                      "schedule.length",
                      name, line, newline == std::string_view::npos ? at + 1 : at - newline, kMostParts));
    }
    if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) parts = 1;
    ++at;
  }
}

bool IsOfWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_./+-").find(c) != std::string_view::npos;
}

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string_view WithoutSpaceBefore(std::string_view text) {
  text.remove_prefix(static_cast<size_t>(std::ranges::find_if_not(text, IsSpace) - text.begin()));
  return text;
}

// The commonest mistake, length = 200ep: a value that wants quotes is, to TOML, a broken number.
std::string MissingQuotes(std::string_view text, size_t line_number) {
  constexpr size_t kLongestWord = 60;
  for (size_t i = 1; i < line_number && !text.empty(); ++i) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  const std::string_view line = text.substr(0, text.find('\n'));
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return "";
  const std::string_view value = WithoutSpaceBefore(line.substr(equals + 1));
  const auto length = static_cast<size_t>(std::ranges::find_if_not(value, IsOfWord) - value.begin());
  const std::string_view word = value.substr(0, length);
  const std::string_view rest = WithoutSpaceBefore(value.substr(length));
  const bool has_letter = std::ranges::any_of(word, [](unsigned char c) { return std::isalpha(c) != 0; });
  if (!has_letter || length > kLongestWord || (!rest.empty() && rest.front() != '#')) return "";
  return fmt::format("; did you mean \"{}\", in quotes?", word);
}

}  // namespace

toml::table ParseToml(std::string_view text, const std::string& name) {
  if (text.size() > kLargestText) {
    throw UserError(
        fmt::format("{} is no config: it has {} bytes, and a config has at most {}", name, text.size(), kLargestText));
  }
  RequireShortKeys(text, name);
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    const toml::source_position& place = error.source().begin;
    throw UserError(fmt::format("{}:{}:{}: {}{}", name, place.line, place.column, error.description(),
                                MissingQuotes(text, place.line)));
  }
}

}  // namespace crescendo::config
