#include "crescendo/distributed/worker_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "crescendo/base/error.h"

namespace crescendo::distributed {
namespace {

constexpr const char* kLoopback = "127.0.0.1";

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  bool Has(const char* name) const { return environment_(name) != nullptr && *environment_(name) != '\0'; }
  std::string Text(const char* name) const { return Has(name) ? environment_(name) : ""; }

  int64_t Number(const char* name) const {
    if (!Has(name)) {
      throw UserError(fmt::format("the environment says that this is one of several workers, but not {}", name));
    }
    return Parse(name);
  }
  int64_t NumberOr(const char* name, int64_t otherwise) const { return Has(name) ? Parse(name) : otherwise; }

 private:
  int64_t Parse(const char* name) const {
    const std::string_view text = environment_(name);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
      throw UserError(fmt::format("{}={} in the environment is not a whole number from 0 up", name, text));
    }
    return value;
  }

  const Environment& environment_;
};

// A port that two jobs on one machine are unlikely to share, below those that the system gives out by itself.
int64_t PortOfJob(int64_t job) { return 15'000 + job % 15'000; }

WorkerPlace FromTorchrun(const Reader& read) {
  WorkerPlace place;
  place.started_by = "torchrun";
  place.rank = read.Number("RANK");
  place.size = read.Number("WORLD_SIZE");
  place.local_rank = read.NumberOr("LOCAL_RANK", 0);
  place.workers_on_same_cores = read.NumberOr("LOCAL_WORLD_SIZE", 1);
  place.inherited_listener = static_cast<int>(read.NumberOr("CRESCENDO_LISTENER", -1));
  place.store_is_served = read.Text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  place.attempt = read.Text("TORCHELASTIC_RESTART_COUNT");
  if (place.size > 1) {
    place.master_port = read.Number("MASTER_PORT");
    if (!read.Has("MASTER_ADDR")) {
      throw UserError("WORLD_SIZE and RANK are set but not MASTER_ADDR, the machine where worker 0 runs");
    }
  }
  return place;
}

WorkerPlace FromOpenMpi(const Reader& read) {
  WorkerPlace place;
  place.started_by = "mpirun";
  place.rank = read.Number("OMPI_COMM_WORLD_RANK");
  place.size = read.Number("OMPI_COMM_WORLD_SIZE");
  place.local_rank = read.NumberOr("OMPI_COMM_WORLD_LOCAL_RANK", 0);
  const int64_t on_this_machine = read.NumberOr("OMPI_COMM_WORLD_LOCAL_SIZE", place.size);
  // mpirun usually gives each process cores of its own.
  const bool bound = read.Text("OMPI_MCA_orte_bound_at_launch") == "1";
  place.workers_on_same_cores = bound ? 1 : on_this_machine;
  place.master_port = PortOfJob(read.NumberOr("OMPI_MCA_ess_base_jobid", 0));
  if (on_this_machine == place.size) {
    place.master_address = kLoopback;
  } else if (!read.Has("MASTER_ADDR")) {
    throw UserError(
        "mpirun started workers on several machines and does not say where worker 0 is; tell them with "
        "mpirun -x MASTER_ADDR=HOST, the first host of the list");
  }
  return place;
}

WorkerPlace FromSlurm(const Reader& read) {
  WorkerPlace place;
  place.started_by = "srun";
  place.rank = read.Number("SLURM_PROCID");
  place.size = read.Number("SLURM_STEP_NUM_TASKS");
  place.local_rank = read.NumberOr("SLURM_LOCALID", 0);
  const bool one_machine = read.NumberOr("SLURM_STEP_NUM_NODES", 1) == 1;
  // Slurm says how many tasks a node has only where all have the same: "4(x2)", "2".
  const std::string tasks = read.Text("SLURM_STEP_TASKS_PER_NODE");
  int64_t on_this_machine = 1;
  std::from_chars(tasks.data(), tasks.data() + tasks.size(), on_this_machine);
  // With a binding Slurm gives each task cores of its own.
  const std::string binding = read.Text("SLURM_CPU_BIND_TYPE");
  place.workers_on_same_cores = binding.empty() || binding == "none" ? on_this_machine : 1;
  place.master_port = PortOfJob(read.NumberOr("SLURM_JOB_ID", 0));
  place.master_address = one_machine ? kLoopback : FirstOfNodeList(read.Text("SLURM_STEP_NODELIST"));
  place.attempt = read.Text("SLURM_STEP_ID");
  return place;
}

}  // namespace

const char* SystemEnvironment(const char* name) { return std::getenv(name); }

WorkerPlace FindPlace(const Environment& environment) {
  const Reader read(environment);
  WorkerPlace place;
  if (read.Has("RANK") || read.Has("WORLD_SIZE")) {
    place = FromTorchrun(read);
  } else if (read.Has("OMPI_COMM_WORLD_SIZE")) {
    place = FromOpenMpi(read);
  } else if (read.Has("SLURM_STEP_NUM_TASKS") && read.Has("SLURM_PROCID")) {
    // A job's own script also has SLURM_NTASKS and SLURM_PROCID=0, although nothing else was started.
    place = FromSlurm(read);
  }
  if (place.size < 1 || place.rank >= place.size) {
    throw UserError(fmt::format("{} says that this is worker {} of {}; workers are numbered from 0", place.started_by,
                                place.rank, place.size));
  }
  if (place.size > 1) {
    if (read.Has("MASTER_ADDR")) place.master_address = read.Text("MASTER_ADDR");
    place.master_port = read.NumberOr("MASTER_PORT", place.master_port);
    if (place.master_port < 1 || place.master_port > 65'535) {
      throw UserError(fmt::format("MASTER_PORT={} is not a port (1 to 65535)", place.master_port));
    }
  }
  return place;
}

int64_t WorkersOnSameCores(const WorkerPlace& place, int64_t workers) {
  const int64_t first_of_machine = place.rank - place.local_rank;
  return std::clamp(workers - first_of_machine, int64_t{1}, place.workers_on_same_cores);
}

std::string FirstOfNodeList(const std::string& list) {
  const size_t bracket = list.find('[');
  const size_t comma = list.find(',');
  if (bracket == std::string::npos || comma < bracket) return list.substr(0, comma);
  const size_t end = list.find_first_of("-,]", bracket + 1);
  const size_t close = list.find(']', bracket);
  if (close == std::string::npos) {
    throw UserError(
        fmt::format("SLURM_STEP_NODELIST={} has a [ without its ]; MASTER_ADDR says where worker 0 is", list));
  }
  // What follows the bracket belongs to every name: "rack[1-2]-ib0".
  const std::string tail = list.substr(close + 1, list.find(',', close) - close - 1);
  return list.substr(0, bracket) + list.substr(bracket + 1, end - bracket - 1) + tail;
}

}  // namespace crescendo::distributed
