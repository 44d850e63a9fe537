// What a run leaves behind:
//
//   config.toml          every option, resolved: the run can be repeated from it alone
//   plan.json            what was going to happen
//   run.jsonl            what happened (docs/formats/run_log.md)
//   events/              the same for TensorBoard, over examples and over updates
//   checkpoints/         what a stopped run goes on from (docs/formats/checkpoint.md)
//   weights.safetensors  what was learned, with the config inside
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::train {

class RunFolder {
 public:
  // UserError where `path`, given by `flag`, cannot become the folder of a new run: it is a file, cannot be made or
  // written, holds a run, which only `force` allows, or holds a file that a run would write over and is none of a run.
  // Changes nothing.
  static void RequireUsable(const std::filesystem::path& path, bool force, std::string_view flag = "--out");

  // Makes `path` ready for a new run, with the folders above it, and locks it. UserError as above; with `force` the
  // files of the run that is there are removed, and nothing else.
  static RunFolder Create(const std::filesystem::path& path, bool force, std::string_view flag = "--out");

  // As Create, for the first of PARENT/NAME-001, PARENT/NAME-002, ... that does not exist. Runs that start at the same
  // moment get different ones.
  static RunFolder CreateNext(const std::filesystem::path& parent, const std::string& name);

  // As CreateNext, but not locked: for another process to Create.
  static RunFolder ReserveNext(const std::filesystem::path& parent, const std::string& name);

  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  // Keeps other processes from training in this folder until this one ends, however it ends. UserError where one does,
  // and where nothing can be written.
  void Lock() const;

  // Whether anything is there that has the name of what a run writes. That alone is no run: other programs have a
  // config.toml too.
  bool HoldsFiles() const { return !FirstFound().empty(); }

  // Whether a run is there, by how its log, its config, or the config that a study gave it begins.
  bool HoldsRun() const;

  // Whether Clear would remove this file.
  bool WouldClear(const std::filesystem::path& file) const;

  // Removes the files that a run writes, by their names, and its folders where nothing else is in them. UserError where
  // a file cannot be removed.
  void Clear() const;

  void WriteConfigAndPlan(const config::Options& options, const schedule::Plan& plan) const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.toml"; }
  std::filesystem::path plan() const { return path_ / "plan.json"; }
  std::filesystem::path log() const { return path_ / "run.jsonl"; }
  std::filesystem::path events() const { return path_ / "events"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path weights() const { return path_ / "weights.safetensors"; }

 private:
  // Of what a run writes, the first that is there; "" where none is.
  std::filesystem::path FirstFound() const;

  // What a run may have written, and more may be there than is. The log is last: what was cleared in part is still a
  // run.
  std::vector<std::filesystem::path> Files() const;

  std::filesystem::path path_;
};

}  // namespace crescendo::train
