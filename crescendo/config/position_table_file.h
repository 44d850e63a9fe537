// A schedule that something else wrote down: reference.table = "rates.csv".
//
//   step,lr                  Wall time,Step,Value            epoch,learning_rate
//   0,0.1                    1764115200.5,0,0.1              0,0.1
//   1,0.0999                 1764115201.1,50,0.0999          0.5,0.09
//
// The first line names the columns. Positions are batches of the reference in a column named step, update, iteration or
// batch, epochs in one named epoch, samples in one named sample or example (or any of these with an s). Values are in
// the column learning_rate, lr (of momentum: momentum) or value, or in the one that is left. Upper and lower case are
// the same. So a log of a learning rate that TensorBoard or Weights & Biases exported is read as it is.
#pragma once

#include <filesystem>
#include <string_view>

#include "crescendo/config/values.h"

namespace crescendo::config {

// `key`: the option that the table is for. Of a run of equal values only the first and the last row are kept: all that
// matters, with straight lines too. UserError, naming the file and the line, for columns that cannot be told, for what
// is no position or no number, and for more different rows than a config can hold.
PositionTable ReadPositionTable(const std::filesystem::path& path, std::string_view key);

}  // namespace crescendo::config
