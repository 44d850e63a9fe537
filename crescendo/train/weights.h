// The weights of a run as a safetensors file: parameters and running statistics by name, and in the metadata the
// resolved config and what made a table's rows inputs, so that the file alone is enough to rebuild the network and
// evaluate it on any rows (docs/formats/weights.md).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/data/table_encoding.h"
#include "crescendo/nn/model.h"
#include "crescendo/report/record.h"

namespace crescendo::train {

// `table`: of a run on a table, how it was encoded.
void SaveWeights(const std::filesystem::path& path, const nn::Model& model, const config::Options& options,
                 const std::optional<data::TableEncoding>& table, report::RunEnd end);

// The file of the weights at `path`: that file, or the folder of a run. UserError for a run that has saved none yet.
std::filesystem::path WeightsAt(const std::filesystem::path& path);

// The options the weights were trained with, with `overrides` ("key=value"). UserError where the file is not one of
// ours.
config::Options ReadOptions(const std::filesystem::path& path, const std::vector<std::string>& overrides);

// How the table was encoded that the weights were trained on; none where it was no table, and in weights older than
// that. UserError where it cannot be understood.
std::optional<data::TableEncoding> ReadTableEncoding(const std::filesystem::path& path);

// How the run that saved them ended: a report::RunEnd by its name; "" in a file that does not say.
std::string ReadEnd(const std::filesystem::path& path);

// UserError, naming the tensor, where names or shapes are not those of the model.
void LoadWeights(const std::filesystem::path& path, nn::Model& model);

}  // namespace crescendo::train
