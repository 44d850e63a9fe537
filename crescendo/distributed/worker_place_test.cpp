#include "crescendo/distributed/worker_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "crescendo/base/error.h"

namespace crescendo::distributed {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Variables = std::map<std::string, std::string>;

WorkerPlace Find(const Variables& variables) {
  return FindPlace([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(WorkerPlace, AloneWhereNobodySaidAnything) {
  const WorkerPlace place = Find({{"PATH", "/bin"}});
  EXPECT_EQ(place.rank, 0);
  EXPECT_EQ(place.size, 1);
  EXPECT_EQ(place.started_by, "");
}

TEST(WorkerPlace, AsTorchrunSaysIt) {
  const WorkerPlace place = Find({{"RANK", "5"},
                                  {"WORLD_SIZE", "8"},
                                  {"LOCAL_RANK", "1"},
                                  {"LOCAL_WORLD_SIZE", "4"},
                                  {"MASTER_ADDR", "node1"},
                                  {"MASTER_PORT", "29500"},
                                  {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                  {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.workers_on_same_cores, 4);
  EXPECT_EQ(place.master_address, "node1");
  EXPECT_EQ(place.master_port, 29500);
  EXPECT_TRUE(place.store_is_served);
  EXPECT_EQ(place.attempt, "2");
  EXPECT_EQ(place.inherited_listener, -1);
}

const Variables kMpirun = {{"OMPI_COMM_WORLD_RANK", "1"},
                           {"OMPI_COMM_WORLD_SIZE", "4"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                           {"OMPI_MCA_ess_base_jobid", "1343619073"}};

Variables With(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

TEST(WorkerPlace, AsMpirunSaysIt) {
  const WorkerPlace place = Find(kMpirun);
  EXPECT_EQ(place.rank, 1);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.workers_on_same_cores, 4);
  EXPECT_EQ(place.master_address, "127.0.0.1");
  EXPECT_EQ(place.master_port, 15'000 + 1343619073 % 15'000);
  EXPECT_EQ(Find(With(kMpirun, {{"OMPI_MCA_orte_bound_at_launch", "1"}})).workers_on_same_cores, 1);
}

TEST(WorkerPlace, MpirunOverMachinesNeedsAnAddress) {
  const Variables two_machines = With(kMpirun, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
  EXPECT_THAT([&] { Find(two_machines); }, ThrowsMessage<UserError>(HasSubstr("mpirun -x MASTER_ADDR=HOST")));
  const WorkerPlace place = Find(With(two_machines, {{"MASTER_ADDR", "a"}, {"MASTER_PORT", "4000"}}));
  EXPECT_EQ(place.master_address, "a");
  EXPECT_EQ(place.master_port, 4000);
}

const Variables kSrun = {{"SLURM_PROCID", "3"},
                         {"SLURM_STEP_NUM_TASKS", "8"},
                         {"SLURM_NTASKS", "8"},
                         {"SLURM_LOCALID", "3"},
                         {"SLURM_STEP_NUM_NODES", "2"},
                         {"SLURM_STEP_TASKS_PER_NODE", "4(x2)"},
                         {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                         {"SLURM_JOB_ID", "31005"},
                         {"SLURM_STEP_ID", "0"}};

TEST(WorkerPlace, AsSrunSaysIt) {
  const WorkerPlace place = Find(kSrun);
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 3);
  EXPECT_EQ(place.workers_on_same_cores, 4);
  EXPECT_EQ(place.master_address, "gpu07");
  EXPECT_EQ(place.master_port, 16'005);
  EXPECT_EQ(Find(With(kSrun, {{"SLURM_STEP_NUM_NODES", "1"}})).master_address, "127.0.0.1");
  EXPECT_EQ(Find(With(kSrun, {{"SLURM_CPU_BIND_TYPE", "mask_cpu:"}})).workers_on_same_cores, 1);
}

TEST(WorkerPlace, ScriptOfASlurmJobIsAlone) {
  EXPECT_EQ(Find({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_JOB_ID", "7"}}).size, 1);
}

TEST(WorkerPlace, TorchrunUnderSrunIsTorchrun) {
  const WorkerPlace place =
      Find(With(kSrun, {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "b"}, {"MASTER_PORT", "1"}}));
  EXPECT_EQ(place.started_by, "torchrun");
  EXPECT_EQ(place.size, 2);
}

TEST(WorkerPlace, ContradictionsAreNamed) {
  const auto expect = [](const Variables& variables, const char* part) {
    EXPECT_THAT([&] { Find(variables); }, ThrowsMessage<UserError>(HasSubstr(part)));
  };
  const Variables two = {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "29500"}};
  expect({{"RANK", "0"}}, "but not WORLD_SIZE");
  expect({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "1"}}, "not MASTER_ADDR");
  expect({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}, "but not MASTER_PORT");
  expect(With(two, {{"RANK", "2"}}), "worker 2 of 2");
  expect(With(two, {{"RANK", "-1"}}), "RANK=-1");
  expect(With(two, {{"WORLD_SIZE", "two"}}), "WORLD_SIZE=two");
  expect(With(two, {{"MASTER_PORT", "70000"}}), "MASTER_PORT=70000");
  expect({{"RANK", "0"}, {"WORLD_SIZE", "0"}}, "worker 0 of 0");
}

// Two machines of four workers each: where five of eight compute, the second machine has one of them.
TEST(WorkerPlace, ThoseThatComputeShareTheCores) {
  const auto shared = [](int64_t rank, int64_t workers) {
    WorkerPlace place;
    place.rank = rank;
    place.size = 8;
    place.local_rank = rank % 4;
    place.workers_on_same_cores = 4;
    return WorkersOnSameCores(place, workers);
  };
  EXPECT_EQ(shared(0, 1), 1);
  EXPECT_EQ(shared(0, 2), 2);
  EXPECT_EQ(shared(1, 2), 2);
  EXPECT_EQ(shared(3, 5), 4);
  EXPECT_EQ(shared(4, 5), 1);
  EXPECT_EQ(shared(5, 7), 3);
  EXPECT_EQ(shared(7, 8), 4);
  WorkerPlace bound;  // has cores of its own
  bound.rank = bound.local_rank = 2;
  EXPECT_EQ(WorkersOnSameCores(bound, 3), 1);
}

TEST(WorkerPlace, FirstOfASlurmNodeList) {
  EXPECT_EQ(FirstOfNodeList("node1"), "node1");
  EXPECT_EQ(FirstOfNodeList("a,b[1-2]"), "a");
  EXPECT_EQ(FirstOfNodeList("node[03-05,7],gpu1"), "node03");
  EXPECT_EQ(FirstOfNodeList("node[7,9]"), "node7");
  EXPECT_EQ(FirstOfNodeList("node[7]"), "node7");
  EXPECT_EQ(FirstOfNodeList("rack[1-2]-ib0,x"), "rack1-ib0");
  EXPECT_THROW(FirstOfNodeList("node[7"), UserError);
}

}  // namespace
}  // namespace crescendo::distributed
