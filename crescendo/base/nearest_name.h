// "unknown key 'learing_rate'; did you mean 'learning_rate'?"
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace crescendo {

// The name in `names` that other programs call `given` ("gpu" for "cuda"), else the nearest by edit distance, or ""
// where none is near enough to be what was meant (more than about a third of its letters differ).
std::string NearestName(std::string_view given, std::span<const std::string> names);

// "; did you mean NAME?" for the end of a message, or "" where none is near.
std::string DidYouMean(std::string_view given, std::span<const std::string> names);

// The same, and where none is near "; there are A, B": for names that are few.
std::string DidYouMeanOrAll(std::string_view given, std::span<const std::string> names);

}  // namespace crescendo
