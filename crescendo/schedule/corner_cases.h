// The choices that a schedule leaves open, each an enum with a sentence per case. The printed plan shows the case in
// force.
#pragma once

#include "crescendo/base/enum_names.h"

namespace crescendo::schedule {

// What this run does where the reference lowers its learning rate.
enum class Policy { kDecay, kGrow };

// How batch and learning rate trade at equal noise.
enum class ScalingRule { kLinear, kSquareRoot, kSeesaw };

// Which of the two noise scales is held equal to the reference's.
enum class NoiseForm { kSmallBatch, kExact };

// Which batch sizes a growing batch may take.
enum class Rounding { kNearest, kMultiple, kPower };

// What happens to an epoch's last examples where the batch does not divide the epoch.
enum class EpochTail { kCarry, kShort, kDrop };

// What happens to a batch during which the reference's schedule has a boundary.
enum class Boundary { kStart, kCut };

// What happens once the batch may not grow further.
enum class AtCap { kHybrid, kHold, kError };

// What happens to the momentum buffer where the batch or the momentum coefficient changes.
enum class MomentumBuffer { kKeep, kRescale, kReset };

}  // namespace crescendo::schedule

namespace crescendo {

template <>
inline constexpr auto kEnumCases<schedule::Policy> = std::to_array<EnumCase<schedule::Policy>>({
    {schedule::Policy::kDecay, "decay", "the batch stays, the learning rate falls"},
    {schedule::Policy::kGrow, "grow",
     "the batch grows where the reference's learning rate falls; what the limits forbid goes to the learning rate"},
});

template <>
inline constexpr auto kEnumCases<schedule::ScalingRule> = std::to_array<EnumCase<schedule::ScalingRule>>({
    {schedule::ScalingRule::kLinear, "linear",
     "B ~ lr (Smith et al. 2018): a cut of the lr by f is a batch grown by f at the same lr"},
    {schedule::ScalingRule::kSquareRoot, "sqrt",
     "B ~ lr^2 (Malladi et al. 2022, for Adam): a cut by f is a batch grown by f^2 at the same lr"},
    {schedule::ScalingRule::kSeesaw, "seesaw",
     "lr / sqrt(f) and B x f where the reference cuts the lr by f (Meterez et al. 2025, for Adam)"},
});

template <>
inline constexpr auto kEnumCases<schedule::NoiseForm> = std::to_array<EnumCase<schedule::NoiseForm>>({
    {schedule::NoiseForm::kSmallBatch, "small_batch", "N/B, the paper's working form"},
    {schedule::NoiseForm::kExact, "exact", "N/B - 1"},
});

template <>
inline constexpr auto kEnumCases<schedule::Rounding> = std::to_array<EnumCase<schedule::Rounding>>({
    {schedule::Rounding::kNearest, "nearest", "the nearest integer"},
    {schedule::Rounding::kMultiple, "multiple", "the nearest multiple of batch_multiple"},
    {schedule::Rounding::kPower, "power", "the first batch times the nearest power of growth_factor"},
});

template <>
inline constexpr auto kEnumCases<schedule::EpochTail> = std::to_array<EnumCase<schedule::EpochTail>>({
    {schedule::EpochTail::kCarry, "carry", "a batch may span two epochs; only the last update of the run is short"},
    {schedule::EpochTail::kShort, "short", "the last update of each epoch is short"},
    {schedule::EpochTail::kDrop, "drop", "examples that do not fill a batch are left out of their epoch"},
});

template <>
inline constexpr auto kEnumCases<schedule::Boundary> = std::to_array<EnumCase<schedule::Boundary>>({
    {schedule::Boundary::kStart, "start", "an update uses the setting in force where it starts"},
    {schedule::Boundary::kCut, "cut", "the batch is cut at the boundary"},
});

template <>
inline constexpr auto kEnumCases<schedule::AtCap> = std::to_array<EnumCase<schedule::AtCap>>({
    {schedule::AtCap::kHybrid, "hybrid", "the rest of the noise drop goes to the learning rate"},
    {schedule::AtCap::kHold, "hold", "batch and learning rate stay: the noise stops falling"},
    {schedule::AtCap::kError, "error", "a plan that reaches the cap is refused"},
});

template <>
inline constexpr auto kEnumCases<schedule::MomentumBuffer> = std::to_array<EnumCase<schedule::MomentumBuffer>>({
    {schedule::MomentumBuffer::kKeep, "keep", "the buffer goes on as it is"},
    {schedule::MomentumBuffer::kRescale, "rescale",
     "the buffer is multiplied by (1-m_old)/(1-m_new), the ratio of its steady states"},
    {schedule::MomentumBuffer::kReset, "reset", "the buffer starts again from zero"},
});

}  // namespace crescendo
