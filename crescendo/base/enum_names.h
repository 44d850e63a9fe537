// Enums whose cases have a name in the config and a sentence of explanation, stated once beside the enum:
//
//   enum class EpochTail { kCarry, kShort };
//   template <>
//   inline constexpr auto kEnumCases<EpochTail> = std::to_array<EnumCase<EpochTail>>({
//       {EpochTail::kCarry, "carry", "a batch may span two epochs"}, ...});
//
//   NameOf(EpochTail::kCarry) == "carry";  ParseEnum<EpochTail>("short") == EpochTail::kShort
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace crescendo {

template <class E>
struct EnumCase {
  E value;
  std::string_view name;
  std::string_view sentence;
};

template <class E>
inline constexpr std::array<EnumCase<E>, 0> kEnumCases{};

template <class E>
constexpr const EnumCase<E>& CaseOf(E value) {
  for (const EnumCase<E>& entry : kEnumCases<E>) {
    if (entry.value == value) return entry;
  }
  return kEnumCases<E>.front();
}

template <class E>
constexpr std::string_view NameOf(E value) {
  return CaseOf(value).name;
}

template <class E>
constexpr std::optional<E> ParseEnum(std::string_view name) {
  for (const EnumCase<E>& entry : kEnumCases<E>) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

}  // namespace crescendo
