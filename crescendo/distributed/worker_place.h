// Which worker this process is, and of how many: said in the environment by what started it.
//
//   WorkerPlace place = FindPlace(SystemEnvironment);
//   if (place.size == 1) ...                          // nobody said anything: a run of one process
//
// | started by                            | read |
// |---------------------------------------|----------------------------------------------------------------------------|
// | crescendo train --ranks N, torchrun   | RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT | |
// mpirun (Open MPI)                     | OMPI_COMM_WORLD_{RANK,SIZE,LOCAL_RANK,LOCAL_SIZE}                          |
// | srun (Slurm)                          | SLURM_PROCID SLURM_STEP_NUM_TASKS SLURM_LOCALID SLURM_STEP_NODELIST ... |
//
// The first row that applies wins, so that torchrun under srun is torchrun. Open MPI and Slurm do not say where worker
// 0 listens: with all workers on one machine that is loopback; under srun it is the first node of the step; under
// mpirun over several machines MASTER_ADDR must be given. Their port follows from the number of the job, so that two
// jobs on a machine do not meet. MASTER_ADDR and MASTER_PORT, where set, hold under all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace crescendo::distributed {

struct WorkerPlace {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;             // among the workers on this machine
  int64_t workers_on_same_cores = 1;  // how many, this one included, share the cores that this process may use
  std::string master_address;         // where worker 0 listens; a name or a number
  int64_t master_port = 0;
  int inherited_listener = -1;   // worker 0 under --ranks: a socket that listens there already
  bool store_is_served = false;  // torchrun serves the store itself, and worker 0 joins it like the others
  std::string attempt;           // differs between restarts that meet at the same store
  std::string started_by;        // for messages: "mpirun"; "" where nothing did
};

// The value of an environment variable; nullptr where it is not set.
using Environment = std::function<const char*(const char* name)>;
const char* SystemEnvironment(const char* name);

// UserError, naming the variable and what it holds, where they contradict each other or are not numbers.
WorkerPlace FindPlace(const Environment& environment);

// place.workers_on_same_cores, where only the first `workers` of all compute. (Taking it that the workers of a machine
// are numbered one after the other, as all of the above do unless they are told otherwise.)
int64_t WorkersOnSameCores(const WorkerPlace& place, int64_t workers);

// The first name of a list as Slurm writes it: "node[03-05,7],gpu1" begins with node03.
std::string FirstOfNodeList(const std::string& list);

}  // namespace crescendo::distributed
