#include "crescendo/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

namespace crescendo {
namespace {

// Words of other programs, and what they are called here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kSynonyms = {{
    {"gpu", "cuda"},
    {"bfloat16", "bf16"},
    {"float32", "fp32"},
    {"lr", "learning_rate"},
    {"batch_size", "global_batch"},
    {"epochs", "length"},
    {"wd", "weight_decay"},
    {"resnet", "wide_resnet"},
}};

// Levenshtein distance, with a swap of neighbours counted as one (optimal string alignment).
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_previous(b.size() + 1);
  std::vector<size_t> previous(b.size() + 1);
  std::vector<size_t> current(b.size() + 1);
  std::iota(previous.begin(), previous.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before_previous[j - 2] + 1);
      }
    }
    std::swap(before_previous, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

}  // namespace

std::string NearestName(std::string_view given, std::span<const std::string> names) {
  for (const auto& [word, name] : kSynonyms) {
    if (given == word && std::ranges::find(names, name) != names.end()) return std::string(name);
  }
  std::string nearest;
  size_t smallest = std::max<size_t>(2, given.size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t distance = EditDistance(given, name);
    if (distance < smallest) {
      smallest = distance;
      nearest = name;
    }
  }
  return nearest;
}

std::string DidYouMean(std::string_view given, std::span<const std::string> names) {
  const std::string nearest = NearestName(given, names);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

std::string DidYouMeanOrAll(std::string_view given, std::span<const std::string> names) {
  std::string text = DidYouMean(given, names);
  if (!text.empty()) return text;
  for (const std::string& name : names) text += (text.empty() ? "; there are " : ", ") + name;
  return text;
}

}  // namespace crescendo
