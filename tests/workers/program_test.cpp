// The real program, as several processes: started in each of the ways, and what happens when one is lost.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>

#include "crescendo/distributed/socket.h"
#include "tests/workers/program_fixture.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using support::HasProgram;
using support::kPatience;
using support::kProgram;
using support::Program;
using support::Seconds;
using support::StartedProgram;
using support::WaitUntil;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// On top of a timeout, for a machine that has other things to do.
constexpr Seconds kSlack{20};

TEST_F(Program, RanksOfOurOwnLauncher) {
  StartedProgram together(Train("three", {"--ranks", "3"}));
  ASSERT_EQ(together.Wait(kPatience), 0) << together.printed();
  EXPECT_THAT(together.printed(), HasSubstr("test accuracy"));
  ExpectSameAsAlone("three", 3);
}

TEST_F(Program, ReproducibleRunsOfAnyNumberHaveTheSameDigest) {
  const auto weights = [&](const std::string& name, const std::string& ranks, const std::string& micro_batch,
                           const std::string& threads) {
    StartedProgram run(Train(
        name, {"--ranks", ranks, "run.reproducible=true", "run.micro_batch=" + micro_batch, "run.threads=" + threads}));
    EXPECT_EQ(run.Wait(kPatience), 0) << run.printed();
    return DigestOf(name);
  };
  const std::string one = weights("one", "1", "8", "1");
  EXPECT_THAT(one, HasSubstr("weights"));
  EXPECT_EQ(weights("two", "2", "4", "1"), one);
  EXPECT_EQ(weights("three", "3", "16", "1"), one);
  EXPECT_EQ(weights("two of two threads", "2", "4", "2"), weights("one of two threads", "1", "8", "2"));
}

// Each gives two workers.
class Launcher : public Program {
 protected:
  static StartedProgram Mpirun(std::vector<std::string> train) {
    train.insert(train.begin(), {"mpirun", "--allow-run-as-root", "--oversubscribe", "-np", "2"});
    // It asks for an rsh agent even where it starts everything itself. Signalled, it waits so many seconds, passes the
    // signal on, waits again and kills; all that time it reads nothing that its processes print.
    return StartedProgram(train,
                          {{"OMPI_MCA_plm_rsh_agent", "/bin/false"}, {"OMPI_MCA_odls_base_sigkill_timeout", "5"}});
  }
  static StartedProgram Torchrun(std::vector<std::string> train) {
    train.insert(train.begin(), {TorchrunName(), "--no-python", "--standalone", "--nproc-per-node", "2"});
    return StartedProgram(train);
  }
  static std::string TorchrunName() {
    const char* given = std::getenv("CRESCENDO_TORCHRUN");
    return given != nullptr ? given : "torchrun";
  }
  static constexpr const char* kNeedsMpirun = "needs mpirun: apt install openmpi-bin";
  static constexpr const char* kNeedsTorchrun = "needs torchrun: pip install torch, or CRESCENDO_TORCHRUN=PROGRAM";

  // With a line now and then.
  std::vector<std::string> TrainQuietly(const std::string& run) const {
    return TrainForLong(run, {"run.evaluate_every=20ep"});
  }

  // Stopped by SIGTERM, the run can be gone on with; so it can where a worker was killed, which ends the other one.
  void ExpectStops(const std::string& run, StartedProgram& program) const {
    ASSERT_TRUE(Trains(run, program)) << program.printed();
    program.Signal(SIGTERM);
    const auto code = program.Wait(kPatience);
    ASSERT_TRUE(code.has_value());
    EXPECT_NE(*code, 0) << program.printed();
    EXPECT_EQ(Log(run, "footer").at(0)["end"], "interrupted") << program.printed();
    ExpectCanGoOn(run);
  }
  void ExpectSeesDeath(const std::string& run, StartedProgram& program, const std::string& worker_1) const {
    ASSERT_TRUE(Trains(run, program)) << program.printed();
    const pid_t victim = program.Descendant(worker_1);
    ASSERT_GT(victim, 0);
    ::kill(victim, SIGKILL);
    const auto code = program.Wait(kPatience);
    ASSERT_TRUE(code.has_value());
    EXPECT_NE(*code, 0) << program.printed();
    EXPECT_TRUE(program.Descendants().empty());
    ExpectCanGoOn(run);
  }

 private:
  void ExpectCanGoOn(const std::string& run) const {
    const auto updates = Log(run, "update").back()["updates"];
    StartedProgram resumed({kProgram, "resume", Run(run).string(), "--ranks", "2"});
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      const auto now = Log(run, "update");
      return !Log(run, "resume").empty() && !now.empty() && now.back()["updates"] > updates;
    })) << resumed.printed();
  }
};

TEST_F(Launcher, Mpirun) {
  if (!HasProgram("mpirun")) GTEST_SKIP() << kNeedsMpirun;
  StartedProgram mpirun = Mpirun(Train("mpi"));
  ASSERT_EQ(mpirun.Wait(kPatience), 0) << mpirun.printed();
  ExpectSameAsAlone("mpi", 2);
}

TEST_F(Launcher, MpirunThatIsStoppedOrLosesAWorker) {
  if (!HasProgram("mpirun")) GTEST_SKIP() << kNeedsMpirun;
  StartedProgram stopped = Mpirun(TrainQuietly("stopped"));
  ExpectStops("stopped", stopped);
  StartedProgram bereft = Mpirun(TrainQuietly("bereft"));
  ExpectSeesDeath("bereft", bereft, "OMPI_COMM_WORLD_RANK=1");
}

TEST_F(Launcher, Torchrun) {
  if (!HasProgram(TorchrunName())) GTEST_SKIP() << kNeedsTorchrun;
  StartedProgram torchrun = Torchrun(Train("torch"));
  ASSERT_EQ(torchrun.Wait(kPatience), 0) << torchrun.printed();
  ExpectSameAsAlone("torch", 2);
}

TEST_F(Launcher, TorchrunThatIsStoppedOrLosesAWorker) {
  if (!HasProgram(TorchrunName())) GTEST_SKIP() << kNeedsTorchrun;
  StartedProgram stopped = Torchrun(TrainQuietly("stopped"));
  ExpectStops("stopped", stopped);
  StartedProgram bereft = Torchrun(TrainQuietly("bereft"));
  ExpectSeesDeath("bereft", bereft, "RANK=1");
}

TEST_F(Program, UnderSrun) {
  for (const char* needed : {"srun", "slurmctld", "slurmd", "munged"}) {
    if (::geteuid() != 0 || !HasProgram(needed)) {
      GTEST_SKIP() << "needs root and Slurm: apt install slurmctld slurmd slurm-client munge";
    }
  }
  std::vector<std::string> command = {CRESCENDO_WITH_SLURM, "srun", "-n", "2", "--overcommit"};
  const auto train = Train("slurm");
  command.insert(command.end(), train.begin(), train.end());
  StartedProgram srun(command);
  ASSERT_EQ(srun.Wait(kPatience), 0) << srun.printed();
  ExpectSameAsAlone("slurm", 2);
}

TEST_F(Program, SaysWhatIsWrongOnce) {
  StartedProgram unknown_key(Train("run", {"--ranks", "3", "run.sed=2"}));
  EXPECT_EQ(unknown_key.Wait(kPatience), 2);
  EXPECT_THAT(unknown_key.printed(), HasSubstr("run.sed"));
  EXPECT_EQ(unknown_key.printed().find("is not an option"), unknown_key.printed().rfind("is not an option"));

  StartedProgram twice(Train("run", {"--ranks", "2"}),
                       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "localhost"}, {"MASTER_PORT", "29500"}});
  EXPECT_EQ(twice.Wait(kPatience), 2);
  EXPECT_THAT(twice.printed(), HasSubstr("leave --ranks out"));

  StartedProgram no_ranks(Train("run", {"--restarts", "2"}));
  EXPECT_EQ(no_ranks.Wait(kPatience), 2);
  EXPECT_FALSE(fs::exists(Run("run")));
}

// Worker 0 finds the folder taken after the others have started.
TEST_F(Program, MistakeThatOnlyWorker0SeesEndsAll) {
  folder_.Write("run/run.jsonl", "{}\n");
  StartedProgram program(Train("run", {"--ranks", "2"}));
  EXPECT_EQ(program.Wait(kPatience), 2) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("holds run.jsonl, which is of no run"));
}

TEST_F(Program, DeathOfAWorkerEndsAllAndIsNamed) {
  for (const char* victim : {"RANK=2", "RANK=0"}) {
    const std::string run = std::string("killed ") + victim;
    StartedProgram program(TrainForLong(run, {"--ranks", "3", "run.worker_timeout=600"}));
    ASSERT_TRUE(Trains(run, program)) << program.printed();
    const pid_t process = program.Descendant(victim);
    ASSERT_GT(process, 0);
    ::kill(process, SIGKILL);
    ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
    EXPECT_THAT(program.printed(), HasSubstr(fmt::format("worker {} (process {}) was ended by signal 9 (Killed)",
                                                         std::string(victim).substr(5), process)));
    EXPECT_TRUE(program.Descendants().empty());
  }
  // What was trained up to the update in which worker 2 died is kept.
  EXPECT_THAT(Log("killed RANK=2", "footer").at(0)["reason"].get<std::string>(),
              AllOf(HasSubstr("worker 2 (process"), HasSubstr("is gone: its connection was closed")));
  EXPECT_FALSE(fs::is_empty(Run("killed RANK=2") / "checkpoints"));
}

TEST_F(Program, WorkerThatHangsIsNamedAfterTheTimeout) {
  StartedProgram program(TrainForLong("hung", {"--ranks", "3", "run.worker_timeout=3"}));
  ASSERT_TRUE(Trains("hung", program)) << program.printed();
  const pid_t process = program.Descendant("RANK=1");
  ASSERT_GT(process, 0);
  ::kill(process, SIGSTOP);
  const auto stopped = steady_clock::now();
  ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
  EXPECT_LT(Seconds(steady_clock::now() - stopped), Seconds(3) + kSlack);
  EXPECT_THAT(program.printed(), AllOf(HasSubstr(fmt::format("worker 1 (process {}", process)),
                                       HasSubstr("has not been heard from for 3 s: it hangs")));
  EXPECT_TRUE(program.Descendants().empty());
}

// Nobody ends them but they themselves, as on several machines.
TEST_F(Program, WithoutALauncherTheOthersStopByThemselves) {
  struct Loss {
    int victim;
    int signal;
    int timeout;
    const char* sentence;
  };
  for (const Loss& loss : {Loss{1, SIGKILL, 600, "is gone: its connection was closed"},
                           Loss{0, SIGKILL, 600, "is gone: its connection was closed"},
                           Loss{2, SIGSTOP, 3, "has not been heard from for 3 s: it hangs"}}) {
    const std::string run = fmt::format("{} by {}", loss.victim, loss.signal);
    SCOPED_TRACE(run);
    const int64_t port = distributed::PortOf(distributed::ListenOn("127.0.0.1", 0));
    std::vector<std::unique_ptr<StartedProgram>> workers;
    for (int rank = 0; rank < 3; ++rank) {
      workers.push_back(
          std::make_unique<StartedProgram>(TrainForLong(run, {fmt::format("run.worker_timeout={}", loss.timeout)}),
                                           std::map<std::string, std::string>{{"RANK", std::to_string(rank)},
                                                                              {"WORLD_SIZE", "3"},
                                                                              {"MASTER_ADDR", "127.0.0.1"},
                                                                              {"MASTER_PORT", std::to_string(port)}}));
    }
    ASSERT_TRUE(Trains(run, *workers[0])) << workers[0]->printed();
    workers[static_cast<size_t>(loss.victim)]->Signal(loss.signal);
    const auto lost = steady_clock::now();
    for (int rank = 0; rank < 3; ++rank) {
      if (rank == loss.victim) continue;
      StartedProgram& survivor = *workers[static_cast<size_t>(rank)];
      ASSERT_EQ(survivor.Wait(kPatience), 1) << survivor.printed();
      const pid_t victim = workers[static_cast<size_t>(loss.victim)]->process();
      EXPECT_THAT(survivor.printed(), AllOf(HasSubstr(fmt::format("worker {} (process {}", loss.victim, victim)),
                                            HasSubstr(loss.sentence)));
    }
    EXPECT_LT(Seconds(steady_clock::now() - lost),
              (loss.signal == SIGSTOP ? Seconds(loss.timeout) : Seconds(0)) + kSlack);
  }
}

// Worker 0 works on a share of the update that lasts longer than others wait for it.
TEST_F(Program, LossOfAWorkerIsSeenBetweenMicroBatches) {
  StartedProgram program(Train("share", {"--ranks", "2", "run.worker_timeout=2", "reference.global_batch=400000",
                                         "schedule.length=1000ep", "schedule.policy=decay", "reference.shape=constant",
                                         "data.train_examples=400000", "model.hidden=[512,512]"}));
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return fs::exists(Run("share") / "run.jsonl"); })) << program.printed();
  std::this_thread::sleep_for(Seconds{1});  // now they compute
  const pid_t process = program.Descendant("RANK=1");
  ASSERT_GT(process, 0);
  ::kill(process, SIGKILL);
  ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
  EXPECT_THAT(Log("share", "footer").at(0)["reason"].get<std::string>(), HasSubstr("worker 1 (process"));
}

// What the folder held before is not what is gone on with.
TEST_F(Program, RestartOfAForcedRunIsOfThatRun) {
  StartedProgram old(TrainForLong("forced", {"run.seed=1"}));
  ASSERT_TRUE(Trains("forced", old)) << old.printed();
  old.Signal(SIGINT);
  ASSERT_EQ(old.Wait(kPatience), 130);
  StartedProgram program(Train("forced", {"--force", "--ranks", "2", "--restarts", "1", "run.seed=77"}));
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return program.Descendant("RANK=1") > 0; }));
  ::kill(program.Descendant("RANK=1"), SIGKILL);
  ASSERT_EQ(program.Wait(kPatience), 0) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("going on with 2 workers"));
  EXPECT_THAT(Log("forced", "header").at(0)["config_toml"].get<std::string>(), HasSubstr("seed = 77"));
  EXPECT_EQ(Log("forced", "footer").at(0)["end"], "finished");
}

TEST_F(Program, RestartsGoOnFromTheLastCheckpointWithFewerWorkers) {
  // At a rate so low that rounding is not amplified, while an update left out or done twice would show in the losses.
  const std::vector<std::string> longer = {"schedule.length=10ep", R"(reference.boundaries=["7ep","9ep"])",
                                           "reference.learning_rate=0.0002"};
  std::vector<std::string> options = longer;
  options.insert(options.end(), {"--ranks", "3", "--restarts", "2", "--restart-ranks", "2"});
  StartedProgram program(Train("restarted", options));
  ASSERT_TRUE(Trains("restarted", program)) << program.printed();
  ::kill(program.Descendant("RANK=1"), SIGKILL);
  ASSERT_EQ(program.Wait(kPatience), 0) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("going on with 2 workers (restart 1 of 2)"));
  EXPECT_EQ(Log("restarted", "resume").size(), 1);

  StartedProgram alone(Train("alone", longer));
  ASSERT_EQ(alone.Wait(kPatience), 0) << alone.printed();
  const auto updates = Log("restarted", "update");
  const auto expected = Log("alone", "update");
  ASSERT_EQ(updates.size(), expected.size());
  for (size_t i = 0; i < updates.size(); ++i) {
    EXPECT_NEAR(updates[i]["loss"].get<double>(), expected[i]["loss"].get<double>(), 1e-3) << i;
  }
  EXPECT_EQ(updates.front()["workers"].size(), 3);
  EXPECT_EQ(updates.back()["workers"].size(), 2);
  EXPECT_EQ(Log("restarted", "evaluation").size(), Log("alone", "evaluation").size());
  EXPECT_LT(Difference("alone", "restarted"), 1e-3);
}

TEST_F(Program, RestartsAreUsedUp) {
  StartedProgram program(TrainForLong("lost twice", {"--ranks", "2", "--restarts", "1"}));
  ASSERT_TRUE(Trains("lost twice", program)) << program.printed();
  const pid_t first = program.Descendant("RANK=1");
  ::kill(first, SIGKILL);
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    const auto resumed = Log("lost twice", "resume");
    const auto updates = Log("lost twice", "update");
    return !resumed.empty() && !updates.empty() && updates.back()["updates"] > resumed.front()["updates"];
  })) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("going on with 2 workers (restart 1 of 1)"));
  const pid_t second = program.Descendant("RANK=1");
  ASSERT_NE(second, first);
  ::kill(second, SIGKILL);
  ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
  EXPECT_THAT(program.printed(), AllOf(HasSubstr(fmt::format("worker 1 (process {}) was ended by signal 9", second)),
                                       Not(HasSubstr("restart 2"))));
  EXPECT_EQ(Log("lost twice", "resume").size(), 1);
}

TEST_F(Program, RestartAfterAHangLosesNoUpdate) {
  StartedProgram program(
      Train("hung", {"--ranks", "2", "--restarts", "1", "run.worker_timeout=3", "schedule.length=40ep"}));
  ASSERT_TRUE(Trains("hung", program)) << program.printed();
  ::kill(program.Descendant("RANK=1"), SIGSTOP);
  ASSERT_EQ(program.Wait(kPatience), 0) << program.printed();
  EXPECT_THAT(program.printed(), AllOf(HasSubstr("has not been heard from for 3 s: it hangs"),
                                       HasSubstr("going on with 2 workers (restart 1 of 1)")));
  int64_t expected = 1;
  for (const auto& update : Log("hung", "update")) EXPECT_EQ(update["updates"], expected++);
  EXPECT_EQ(Log("hung", "footer").at(0)["examples"], 16'000);
}

// Two epochs are 800 examples.
TEST_F(Program, BranchIsComputedByAnyNumberOfWorkers) {
  StartedProgram parent(Train("parent", {"checkpoint.every=1ep", "checkpoint.keep_last=0"}));
  ASSERT_EQ(parent.Wait(kPatience), 0) << parent.printed();
  for (const size_t workers : {1, 2}) {
    const std::string name = fmt::format("by {}", workers);
    std::vector<std::string> command = BranchOf("parent", name);
    if (workers > 1) command.insert(command.end(), {"--ranks", std::to_string(workers)});
    StartedProgram branch(command);
    ASSERT_EQ(branch.Wait(kPatience), 0) << branch.printed();
    EXPECT_EQ(Log(name, "header").at(0)["begin_examples"], 800);
    EXPECT_EQ(Log(name, "header").at(0)["workers"], workers);
    EXPECT_GT(Log(name, "update").at(0)["examples"], 800);
    if (workers == 1) {
      EXPECT_EQ(Difference("parent", name), 0);
    } else {
      EXPECT_LT(Difference("parent", name), 1e-4);
    }
  }
}

// At whatever moment it is lost: begun again from nothing it would be another run.
TEST_F(Program, RestartOfABranchIsOfThatBranch) {
  StartedProgram parent(Train("parent", {"checkpoint.every=1ep", "checkpoint.keep_last=0"}));
  ASSERT_EQ(parent.Wait(kPatience), 0) << parent.printed();
  const auto lose_worker_0 = [&](const std::string& name, const char* once_there) {
    std::vector<std::string> command = BranchOf("parent", name);
    command.insert(command.end(), {"--ranks", "2", "--restarts", "1", "schedule.length=40ep", "checkpoint.every=none"});
    StartedProgram branch(command);
    ASSERT_TRUE(WaitUntil(kPatience, [&] {
      return branch.Descendant("RANK=0") > 0 && (*once_there == '\0' || fs::exists(Run(name) / once_there));
    })) << branch.printed();
    ::kill(branch.Descendant("RANK=0"), SIGKILL);
    ASSERT_EQ(branch.Wait(kPatience), 0) << branch.printed();
    EXPECT_THAT(branch.printed(), HasSubstr("going on with 2 workers (restart 1 of 1)"));
    EXPECT_THAT(Log(name, "header").at(0)["branched_from"].get<std::string>(), HasSubstr("parent, example 800"));
    int64_t examples = 800;
    for (const auto& update : Log(name, "update")) {
      EXPECT_EQ(update["examples"], examples + update["global_batch"].get<int64_t>());
      examples = update["examples"];
    }
    EXPECT_EQ(examples, 16'000);
  };
  lose_worker_0("at once", "");
  lose_worker_0("with a log", "run.jsonl");
  lose_worker_0("with a checkpoint", "checkpoints/000000000800.json");
}

// A loss that is not a number would come again.
TEST_F(Program, FailureOfTheRunItselfIsNotRestarted) {
  StartedProgram program(
      Train("wild", {"--ranks", "2", "--restarts", "5", "reference.learning_rate=1e6", "model.batch_norm=false"}));
  ASSERT_EQ(program.Wait(kPatience), 1) << program.printed();
  EXPECT_THAT(program.printed(), AllOf(HasSubstr("the loss is"), Not(HasSubstr("going on"))));
}

TEST_F(Program, SignalsArePassedOnAndTheRunCanBeResumed) {
  StartedProgram program(TrainForLong("stopped", {"--ranks", "2"}));
  ASSERT_TRUE(Trains("stopped", program)) << program.printed();
  program.Signal(SIGINT);
  ASSERT_EQ(program.Wait(kPatience), 130) << program.printed();
  EXPECT_THAT(program.printed(), AllOf(HasSubstr("stopped by signal 2"),
                                       HasSubstr("crescendo resume " + Run("stopped").string() + " --ranks 2")));
  const auto footer = Log("stopped", "footer").at(0);
  EXPECT_EQ(footer["end"], "interrupted");

  StartedProgram resumed({kProgram, "resume", Run("stopped").string(), "--ranks", "3"});
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    const auto updates = Log("stopped", "update");
    return !updates.empty() && updates.back()["updates"] > footer["updates"];
  })) << resumed.printed();
  EXPECT_THAT(resumed.printed(), HasSubstr("2 workers trained it and now 3 do: the last bits may differ"));
  resumed.Signal(SIGTERM);
  ASSERT_EQ(resumed.Wait(kPatience), 143) << resumed.printed();
  int64_t expected = 1;
  for (const auto& update : Log("stopped", "update")) EXPECT_EQ(update["updates"], expected++);
}

// As a service manager ends a group of processes: each worker hears of it twice, once through the launcher.
TEST_F(Program, SignalToAllProcessesIsOneRequest) {
  StartedProgram program(TrainForLong("all", {"--ranks", "2"}));
  ASSERT_TRUE(Trains("all", program)) << program.printed();
  for (const pid_t process : program.Descendants()) ::kill(process, SIGTERM);
  program.Signal(SIGTERM);
  ASSERT_EQ(program.Wait(kPatience), 143) << program.printed();
  EXPECT_THAT(program.printed(), HasSubstr("stopped by signal 15"));
  EXPECT_FALSE(fs::is_empty(Run("all") / "checkpoints"));
}

TEST_F(Program, ClosedTerminalIsARequestToStop) {
  StartedProgram program(TrainForLong("hung up", {"--ranks", "2"}));
  ASSERT_TRUE(Trains("hung up", program)) << program.printed();
  program.Signal(SIGHUP);
  ASSERT_EQ(program.Wait(kPatience), 128 + SIGHUP) << program.printed();
  EXPECT_FALSE(fs::is_empty(Run("hung up") / "checkpoints"));
}

TEST_F(Program, ClosedTerminalIsNoneUnderNohup) {
  std::vector<std::string> command = TrainForLong("nohup", {"--ranks", "2"});
  command.insert(command.begin(), "nohup");
  StartedProgram program(command);
  ASSERT_TRUE(Trains("nohup", program)) << program.printed();
  for (const pid_t process : program.Descendants()) ::kill(process, SIGHUP);
  program.Signal(SIGHUP);
  const size_t before = Log("nohup", "evaluation").size();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return Log("nohup", "evaluation").size() > before + 1; }));
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(kPatience), 143) << program.printed();
}

TEST_F(Program, WorkersEndWithTheirLauncher) {
  StartedProgram program(TrainForLong("orphans", {"--ranks", "2"}));
  ASSERT_TRUE(Trains("orphans", program)) << program.printed();
  program.Signal(SIGKILL);
  ASSERT_EQ(program.Wait(kPatience), 137);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return program.Descendants().empty(); }));
  EXPECT_EQ(Log("orphans", "footer").at(0)["end"], "interrupted");
}

// Two network namespaces joined by a link, each with a worker.
class CutLink : public Program {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || !HasProgram("ip")) GTEST_SKIP() << "needs root and ip: apt install iproute2";
    const std::string setup = fmt::format(
        "ip netns add {0} && ip netns add {1} && ip -n {0} link add link0 type veth peer name link1 netns {1} && "
        "ip -n {0} addr add 10.0.7.1/24 dev link0 && ip -n {1} addr add 10.0.7.2/24 dev link1 && "
        "ip -n {0} link set link0 up && ip -n {1} link set link1 up && "
        "ip -n {0} link set lo up && ip -n {1} link set lo up",
        Name(0), Name(1));
    if (Shell(setup + " > /dev/null 2>&1") != 0) {
      GTEST_SKIP() << "network namespaces cannot be made here";
    }
  }
  void TearDown() override {
    Shell(fmt::format("ip netns del {0} > /dev/null 2>&1; ip netns del {1} > /dev/null 2>&1", Name(0), Name(1)));
  }
  static std::string Name(int side) { return fmt::format("crescendo{}_{}", ::getpid(), side); }
  static int Shell(const std::string& command) { return std::system(command.c_str()); }
};

TEST_F(CutLink, EndsBothSidesAfterTheTimeout) {
  const auto worker = [&](int side) {
    std::vector<std::string> command = {"ip", "netns", "exec", Name(side)};
    const auto train = TrainForLong("cut", {"run.worker_timeout=3"});
    command.insert(command.end(), train.begin(), train.end());
    return command;
  };
  const auto place = [](int rank) {
    return std::map<std::string, std::string>{
        {"RANK", std::to_string(rank)}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "10.0.7.1"}, {"MASTER_PORT", "29555"}};
  };
  StartedProgram near(worker(0), place(0));
  StartedProgram far(worker(1), place(1));
  ASSERT_TRUE(Trains("cut", near)) << near.printed() << far.printed();
  ASSERT_EQ(Shell(fmt::format("ip -n {} link set link0 down", Name(0))), 0);
  ASSERT_EQ(near.Wait(kPatience), 1) << near.printed();
  ASSERT_EQ(far.Wait(kPatience), 1) << far.printed();
  EXPECT_THAT(near.printed(), AllOf(HasSubstr("worker 1 (process"), HasSubstr("has not been heard from for 3 s")));
  EXPECT_THAT(far.printed(), AllOf(HasSubstr("worker 0 (process"), HasSubstr("has not been heard from for 3 s")));
}

}  // namespace
}  // namespace crescendo
