// Workers that grow with the batch, as processes: those whose turn has not come wait, and are missed when they are
// gone.
#include <fmt/format.h>
#include <signal.h>

#include "tests/workers/program_fixture.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using support::HasProgram;
using support::kPatience;
using support::kProgram;
using support::Program;
using support::StartedProgram;
using support::WaitUntil;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Phases with batches of 8, 16 and 32, ghosts of 4: one, two and four workers.
class GrowingProgram : public Program {
 protected:
  static std::vector<std::string> Growing(std::vector<std::string> options) {
    options.insert(options.end(), {"run.workers=grow", "run.worker_batch=8"});
    return options;
  }
  // In the first phase until it is stopped.
  std::vector<std::string> GrowNever(const std::string& run, const std::vector<std::string>& options) const {
    std::vector<std::string> more = Growing(options);
    more.emplace_back(R"(reference.boundaries=["90000ep","95000ep"])");
    return TrainForLong(run, more);
  }
  // The same weights as a run of one process has, and in each phase so many workers.
  void ExpectGrown(const std::string& run, const std::vector<size_t>& workers) const {
    for (const auto& update : Log(run, "update")) {
      const size_t expected = workers.at(update["phase"].get<size_t>());
      const size_t found = update.contains("workers") ? update["workers"].size() : 1;
      EXPECT_EQ(found, expected) << update;
    }
    if (!fs::exists(Run("alone"))) {
      StartedProgram alone(Train("alone", {"run.reproducible=true"}));
      ASSERT_EQ(alone.Wait(kPatience), 0) << alone.printed();
    }
    EXPECT_EQ(DigestOf(run), DigestOf("alone"));
  }
};

TEST_F(GrowingProgram, ChangesNoBitAndSaysHowManyCompute) {
  StartedProgram program(Train("grown", Growing({"--ranks", "3", "run.reproducible=true"})));
  ASSERT_EQ(program.Wait(kPatience), 0) << program.printed();
  EXPECT_THAT(program.printed(), AllOf(HasSubstr("1 of 3 workers compute"), HasSubstr("2 of 3 workers compute"),
                                       HasSubstr("all 3 workers compute")));
  EXPECT_EQ(Log("grown", "header").at(0)["workers"], 3);
  ExpectGrown("grown", {1, 2, 3});
}

TEST_F(GrowingProgram, OnlyThoseWithWorkAreStarted) {
  StartedProgram program(Train("grown", Growing({"--ranks", "7", "run.reproducible=true"})));
  ASSERT_EQ(program.Wait(kPatience), 0) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("4 of 7 workers are started: the largest batch has work for no more"));
  EXPECT_EQ(Log("grown", "header").at(0)["workers"], 4);
  ExpectGrown("grown", {1, 2, 4});
}

TEST_F(GrowingProgram, UnderMpirunWithOneForWhomThereIsNoWork) {
  if (!HasProgram("mpirun")) GTEST_SKIP() << "needs mpirun: apt install openmpi-bin";
  std::vector<std::string> command = {"mpirun", "--allow-run-as-root", "--oversubscribe", "-np", "5"};
  const auto train = Train("mpi", Growing({"run.reproducible=true"}));
  command.insert(command.end(), train.begin(), train.end());
  StartedProgram mpirun(command, {{"OMPI_MCA_plm_rsh_agent", "/bin/false"}});
  ASSERT_EQ(mpirun.Wait(kPatience), 0) << mpirun.printed();
  EXPECT_THAT(mpirun.printed(), HasSubstr("work for 4 of the 5 workers"));
  ExpectGrown("mpi", {1, 2, 4});
}

TEST_F(GrowingProgram, UnderTorchrun) {
  const char* given = std::getenv("CRESCENDO_TORCHRUN");
  const std::string torchrun = given != nullptr ? given : "torchrun";
  if (!HasProgram(torchrun)) GTEST_SKIP() << "needs torchrun: pip install torch, or CRESCENDO_TORCHRUN=PROGRAM";
  std::vector<std::string> command = {torchrun, "--no-python", "--standalone", "--nproc-per-node", "3"};
  const auto train = Train("torch", Growing({"run.reproducible=true"}));
  command.insert(command.end(), train.begin(), train.end());
  StartedProgram program(command);
  ASSERT_EQ(program.Wait(kPatience), 0) << program.printed();
  ExpectGrown("torch", {1, 2, 3});
}

// Stopped by a signal in the first phase, while two wait; gone on with to the end.
TEST_F(GrowingProgram, IsStoppedWhileOthersWaitAndGrowsWhereItGoesOn) {
  const std::vector<std::string> options =
      Growing({"--ranks", "3", "run.reproducible=true", "schedule.length=120ep", "run.evaluate_every=10ep",
               R"(reference.boundaries=["110ep","115ep"])"});
  StartedProgram program(Train("stopped", options));
  ASSERT_TRUE(Trains("stopped", program)) << program.printed();
  program.Signal(SIGINT);
  ASSERT_EQ(program.Wait(kPatience), 130) << program.printed();
  EXPECT_EQ(Log("stopped", "footer").at(0)["end"], "interrupted");
  EXPECT_EQ(Log("stopped", "update").back()["phase"], 0);
  EXPECT_TRUE(program.Descendants().empty());

  StartedProgram resumed({kProgram, "resume", Run("stopped").string(), "--ranks", "3"});
  ASSERT_EQ(resumed.Wait(kPatience), 0) << resumed.printed();
  EXPECT_THAT(resumed.printed(), HasSubstr("all 3 workers compute"));
  std::vector<std::string> alone = options;
  alone[1] = "1";
  StartedProgram whole(Train("alone", alone));
  ASSERT_EQ(whole.Wait(kPatience), 0) << whole.printed();
  ExpectGrown("stopped", {1, 2, 3});
}

TEST_F(GrowingProgram, DeathOfAWaitingWorkerEndsAllAtOnceAndRestartsGoOn) {
  StartedProgram program(GrowNever("lost", {"--ranks", "3", "--restarts", "1", "run.worker_timeout=600"}));
  ASSERT_TRUE(Trains("lost", program)) << program.printed();
  const pid_t process = program.Descendant("RANK=2");
  ASSERT_GT(process, 0);
  ::kill(process, SIGKILL);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return Log("lost", "resume").size() == 1; })) << program.printed();
  EXPECT_THAT(program.printed(),
              AllOf(HasSubstr(fmt::format("worker 2 (process {}) was ended by signal 9 (Killed)", process)),
                    HasSubstr("going on with 3 workers (restart 1 of 1)")));
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(kPatience), 143) << program.printed();
  int64_t expected = 1;  // worker 0 has kept all that it did
  for (const auto& update : Log("lost", "update")) EXPECT_EQ(update["updates"], expected++);
}

TEST_F(GrowingProgram, DeathOfWorker0EndsTheWaiting) {
  StartedProgram program(GrowNever("dead", {"--ranks", "3", "run.worker_timeout=600"}));
  ASSERT_TRUE(Trains("dead", program)) << program.printed();
  ::kill(program.Descendant("RANK=0"), SIGKILL);
  ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("was ended by signal 9 (Killed)"));
  EXPECT_TRUE(program.Descendants().empty());
}

TEST_F(GrowingProgram, WaitingWorkerThatHangsIsNamedAfterTheTimeout) {
  StartedProgram program(GrowNever("hung", {"--ranks", "2", "run.worker_timeout=3"}));
  ASSERT_TRUE(Trains("hung", program)) << program.printed();
  const pid_t process = program.Descendant("RANK=1");
  ASSERT_GT(process, 0);
  ::kill(process, SIGSTOP);
  ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
  EXPECT_THAT(program.printed(), AllOf(HasSubstr(fmt::format("worker 1 (process {}", process)),
                                       HasSubstr("has not been heard from for 3 s: it hangs")));
}

}  // namespace
}  // namespace crescendo
