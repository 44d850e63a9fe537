#include "crescendo/train/digest.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/digest.h"
#include "crescendo/data/example_order.h"
#include "crescendo/nn/safetensors.h"
#include "crescendo/report/plan_report.h"
#include "crescendo/train/build.h"
#include "crescendo/train/run_folder.h"
#include "crescendo/train/weights.h"

namespace crescendo::train {
namespace {

EVP_MD_CTX* Context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

// `weights`: where they lie in their run's folder, there is the plan that was trained.
std::string ChangedSize(const std::filesystem::path& weights, const schedule::Plan& plan) {
  const RunFolder folder(weights.parent_path());
  if (folder.weights() != weights || !std::filesystem::exists(folder.plan())) return "";
  const int64_t now = plan.train_examples().value();
  const int64_t before = report::TrainExamplesIn(ReadFile(folder.plan())).value_or(now);
  if (before == now) return "";
  return fmt::format(
      "the train set had {} examples when the run was trained and has {} now: order and run are of these", before, now);
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  CRESCENDO_ASSERT(context_ != nullptr && EVP_DigestInit_ex(Context(context_), EVP_sha256(), nullptr) == 1,
                   "OpenSSL has SHA-256");
}

Sha256::~Sha256() { EVP_MD_CTX_free(Context(context_)); }

Sha256& Sha256::Add(std::string_view bytes) {
  EVP_DigestUpdate(Context(context_), bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::Add(int64_t number) {
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(static_cast<uint64_t>(number) >> (8 * i));
  return Add(std::string_view(bytes.data(), bytes.size()));
}

Sha256& Sha256::Add(const at::Tensor& elements) {
  const at::Tensor tensor = elements.detach().to(at::kCPU).contiguous();
  Add(static_cast<int64_t>(tensor.scalar_type()));
  Add(tensor.dim());
  for (const int64_t extent : tensor.sizes()) Add(extent);
  return Add(std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()));
}

std::string Sha256::Hex() {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(Context(context_), digest.data(), &size);
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string Sha256Of(std::string_view bytes) { return Sha256().Add(bytes).Hex(); }

std::string Sha256OfFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw UserError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  Sha256 sha;
  std::vector<char> buffer(1 << 20);
  while (stream) {
    stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    sha.Add(std::string_view(buffer.data(), static_cast<size_t>(stream.gcount())));
  }
  if (stream.bad()) throw UserError(fmt::format("cannot read {}", path.string()));
  return sha.Hex();
}

std::string DigestOf(const data::Dataset& dataset) { return Sha256().Add(dataset.inputs).Add(dataset.labels).Hex(); }

std::string DigestOf(const schedule::Plan& plan) { return Sha256Of(report::PlanJson(plan)); }

std::string DigestOf(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<const nn::NamedTensor*> sorted;
  for (const nn::NamedTensor& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(),
            [](const nn::NamedTensor* a, const nn::NamedTensor* b) { return a->name < b->name; });
  Sha256 sha;
  for (const nn::NamedTensor* tensor : sorted) {
    sha.Add(static_cast<int64_t>(tensor->name.size())).Add(tensor->name).Add(tensor->value);
  }
  return sha.Hex();
}

std::string DigestOfSettings(const config::Options& options) { return Sha256Of(config::LearnedText(options)); }

std::string DigestOfOrder(const schedule::Plan& plan, uint64_t seed) {
  const data::ExampleOrder order(seed, plan.train_examples().value());
  Sha256 sha;
  for (schedule::Plan::Cursor cursor(plan); !cursor.AtEnd(); cursor.Advance()) {
    const schedule::Setting& setting = cursor.setting();
    sha.Add(setting.begin.value()).Add(setting.global_batch.value());
    const schedule::Examples end = setting.begin + setting.global_batch;
    for (schedule::Examples position = setting.begin; position < end;) {
      const auto epoch = order.Epoch(order.EpochAt(position));
      const int64_t first = (position % plan.train_examples()).value();
      const int64_t count = std::min((end - position).value(), plan.train_examples().value() - first);
      sha.Add(std::string_view(reinterpret_cast<const char*>(epoch->data() + first),
                               static_cast<size_t>(count) * sizeof(int64_t)));
      position += schedule::Examples{count};
    }
  }
  return sha.Hex();
}

RunDigest DigestRun(const std::filesystem::path& path) {
  const std::filesystem::path file = WeightsAt(path);
  const config::Options options = ReadOptions(file, {});
  RunDigest digest;
  digest.settings = DigestOfSettings(options);
  const schedule::Plan plan = BuildPlan(options);
  digest.order = DigestOfOrder(plan, static_cast<uint64_t>(options.run.seed));
  digest.weights = DigestOf(nn::ReadSafetensors(file).tensors);
  digest.all = Sha256Of(digest.settings + digest.order + digest.weights);
  digest.end = ReadEnd(file);
  digest.changed = ChangedSize(file, plan);
  return digest;
}

}  // namespace crescendo::train
