// A table of the user's own as a data set: which column is the class, which hold names, which numbers is said in the
// options.
#pragma once

#include "crescendo/data/dataset.h"

namespace crescendo::data {

// Inputs, in the order of the columns:
// - a column of numbers is one input, scaled to mean 0 and deviation 1 (both of the train rows); a missing field is 0,
// that is, the
//   mean; a column that never changes is 0;
// - a categorical column is one input per name that the train rows hold, in alphabetical order, 1 for the row's name
// and 0 for the
//   others; a missing field is a name like any other; a name that only test rows hold is all zeros.
// Classes are numbered in the order of their names: as numbers where all are whole numbers, else alphabetically. A test
// label that is a train label but for a full stop at its end means that label (as in UCI's adult.test).
//
// UserError, with file, line and column, for what cannot be understood.
//
// The columns of a test file are those of the train file, in the same order; where data.header is true, UserError where
// their names differ.
DatasetPair LoadTable(const config::DataOptions& options);

// The place of the label's column.
int64_t LabelColumn(const TableEncoding& encoding);

// Of rows to predict the label may be missing.
enum class Labels { kRequired, kOptional };
inline constexpr int64_t kNoLabel = -1;

struct TestRows {
  Dataset rows;
  std::vector<std::string> warnings;
};

// The test rows alone, made into inputs and classes as the train rows of a run were: those of data.test_file, or the
// last data.test_examples of data.train_file. Names of a header are compared with those of `encoding`, where both have
// some; `warnings` says where they could not be, and a column of labels seems to be left out. With Labels::kOptional
// the column of the label may be missing from the table, and a label may be empty or one that no train row has: its
// number is then kNoLabel.
TestRows LoadTestRows(const config::DataOptions& options, const TableEncoding& encoding,
                      Labels labels = Labels::kRequired);

// The number of train rows that LoadTable would give. UserError also for columns that the table does not have.
int64_t CountTrainRows(const config::DataOptions& options);

}  // namespace crescendo::data
