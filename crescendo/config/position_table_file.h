// A schedule that something else wrote down: reference.table = "rates.csv".
//
//   step,lr                  Wall time,Step,Value            epoch,learning_rate
//   0,0.1                    1764115200.5,0,0.1              0,0.1
//   1,0.0999                 1764115201.1,50,0.0999          0.5,0.09
//
// The first line names the columns. Positions are samples in a column named sample or example, batches of the reference
// in one named step, update or iteration, epochs in one named epoch (or any of these with an s); where there are
// several, the first of these. Values are in the column learning_rate, lr or value (of momentum: momentum or value), or
// in the only other one that has lr, rate or momentum in its name. Upper and lower case are the same. So a log of a
// learning rate that TensorBoard or Weights & Biases exported is read as it is
// (docs/decisions/29-steps-are-the-references.md).
#pragma once

#include <filesystem>
#include <string_view>

#include "crescendo/config/options.h"
#include "crescendo/config/values.h"

namespace crescendo::config {

// `key`: the option that the table is for, and `description` its own, whose bounds hold. Of a run of equal values only
// the first and the last row are kept: all that matters, with straight lines too. UserError, naming the file and the
// line, for columns that cannot be told, for what is no position or no number, and for values out of bounds.
PositionTable ReadPositionTable(const std::filesystem::path& path, std::string_view key,
                                const Description& description);

}  // namespace crescendo::config
