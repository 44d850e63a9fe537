#include "crescendo/data/table_encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>

#include "crescendo/base/error.h"

namespace crescendo::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;
constexpr const char* kUtf8 = "utf-8";
constexpr const char* kLatin1 = "latin-1";

// JSON is UTF-8, and a table need not be. Where it is not, each byte is taken for a Latin-1 character: that can be
// undone, whatever the bytes mean, and reads well where they are Latin-1.
std::string FromLatin1(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string ToLatin1(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes += text[i];
      continue;
    }
    if ((lead != 0xC2 && lead != 0xC3) || i + 1 == text.size()) throw UserError("a text of it is not Latin-1");
    bytes += static_cast<char>((lead << 6) | (static_cast<unsigned char>(text[++i]) & 0x3F));
  }
  return bytes;
}

// visit(text) for each text that is of the table.
template <class Encoding, class Visitor>
void VisitTexts(Encoding& encoding, Visitor&& visit) {
  for (auto& name : encoding.header) visit(name);
  for (auto& column : encoding.columns) {
    for (auto& name : column.names) visit(name);
  }
  visit(encoding.missing);
}

// Under which key a column of this use has its names.
const char* NamesKey(ColumnUse use) {
  return use == ColumnUse::kCategory ? "categories" : use == ColumnUse::kLabel ? "classes" : nullptr;
}

Json ToJson(const ColumnEncoding& column) {
  Json json = {{"use", NameOf(column.use)}};
  if (column.use == ColumnUse::kNumber) {
    json["mean"] = column.mean;
    json["deviation"] = column.deviation;
  }
  if (const char* key = NamesKey(column.use)) json[key] = column.names;
  return json;
}

std::string Dump(const TableEncoding& encoding, const char* text_encoding) {
  Json columns = Json::array();
  for (const ColumnEncoding& column : encoding.columns) columns.push_back(ToJson(column));
  const Json json = {{"format_version", kFormatVersion},
                     {"text", text_encoding},
                     {"missing", encoding.missing},
                     {"header", encoding.header},
                     {"columns", std::move(columns)}};
  return json.dump();
}

ColumnEncoding ColumnFrom(const Json& json) {
  const auto use_name = json.at("use").get<std::string>();
  const std::optional<ColumnUse> use = ParseEnum<ColumnUse>(use_name);
  if (!use) throw UserError(fmt::format("there is no use of columns \"{}\"", use_name.substr(0, 20)));
  ColumnEncoding column{.use = *use, .names = {}};
  if (column.use == ColumnUse::kNumber) {
    json.at("mean").get_to(column.mean);
    json.at("deviation").get_to(column.deviation);
    if (!std::isfinite(column.mean) || !std::isfinite(column.deviation) || column.deviation < 0) {
      throw UserError(fmt::format("{} +- {} is no mean and deviation", column.mean, column.deviation));
    }
  }
  if (const char* key = NamesKey(column.use)) json.at(key).get_to(column.names);
  return column;
}

// Deep nesting takes much more memory than its text, and weights may come from strangers.
Json Parse(std::string_view text) {
  constexpr int kDeepest = 3;  // the names of a column
  return Json::parse(text, [](int depth, Json::parse_event_t event, Json&) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth > kDeepest) throw UserError("it is nested too deeply");
    return true;
  });
}

TableEncoding EncodingFrom(const Json& json) {
  const int version = json.at("format_version").get<int>();
  if (version != kFormatVersion) {
    throw UserError(
        fmt::format("its format_version is {}, and this crescendo reads version {}", version, kFormatVersion));
  }
  TableEncoding encoding;
  json.at("missing").get_to(encoding.missing);
  json.at("header").get_to(encoding.header);
  for (const Json& column : json.at("columns")) encoding.columns.push_back(ColumnFrom(column));
  const auto labels = std::count_if(encoding.columns.begin(), encoding.columns.end(),
                                    [](const ColumnEncoding& column) { return column.use == ColumnUse::kLabel; });
  if (labels != 1) throw UserError(fmt::format("{} of its columns are labels", labels));
  const auto text_encoding = json.at("text").get<std::string>();
  if (text_encoding == kLatin1) {
    VisitTexts(encoding, [](std::string& text) { text = ToLatin1(text); });
  } else if (text_encoding != kUtf8) {
    throw UserError(fmt::format("its text is \"{}\"", text_encoding.substr(0, 20)));
  }
  return encoding;
}

}  // namespace

int64_t TableEncoding::input_count() const {
  int64_t count = 0;
  for (const ColumnEncoding& column : columns) {
    if (column.use == ColumnUse::kNumber) ++count;
    if (column.use == ColumnUse::kCategory) count += static_cast<int64_t>(column.names.size());
  }
  return count;
}

std::string ToJsonText(const TableEncoding& encoding) {
  try {
    return Dump(encoding, kUtf8);
  } catch (const Json::type_error&) {  // a text is not UTF-8
    TableEncoding in_utf8 = encoding;
    VisitTexts(in_utf8, [](std::string& text) { text = FromLatin1(text); });
    return Dump(in_utf8, kLatin1);
  }
}

TableEncoding ParseTableEncoding(std::string_view json) {
  try {
    return EncodingFrom(Parse(json));
  } catch (const Json::out_of_range&) {
    throw UserError("something is missing in it, or a number is too large");
  } catch (const Json::exception&) {  // whose words are for programmers
    throw UserError("it is no JSON, or something in it is of another type");
  }
}

}  // namespace crescendo::data
