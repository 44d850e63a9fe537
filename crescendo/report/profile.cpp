#include "crescendo/report/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

using Json = nlohmann::ordered_json;

double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

std::string Milliseconds(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }
std::string Percent(double share) { return fmt::format("{:.1f}%", 100 * share); }
// "29.0", "0.87", "0.0040"; nothing for 0.
std::string Giga(double number) {
  if (number <= 0) return "";
  return fmt::format("{:.{}f}", number / 1e9, number < 1e8 ? 4 : number < 1e9 ? 2 : 1);
}

Work Sum(const ProfiledLayer& layer) {
  Work sum = layer.forward;
  return sum += layer.backward;
}

double ShareOfRoofline(const Profile& profile, const Work& forward, const Work& backward) {
  return Ratio(SecondsAt(profile.roofline, forward) + SecondsAt(profile.roofline, backward),
               forward.seconds + backward.seconds);
}

std::string PartsTable(const Profile& profile) {
  TextTable table({{"part", Align::kLeft}, {"ms"}, {"share"}});
  for (const ProfiledPart& part : profile.parts) {
    table.AddRow({part.name, Milliseconds(part.seconds), Percent(Ratio(part.seconds, profile.seconds))});
  }
  table.AddRow({"update", Milliseconds(profile.seconds), Percent(1)});
  return table.Render();
}

std::string LayersTable(const Profile& profile) {
  TextTable table({{"layer", Align::kLeft},
                   {"kind", Align::kLeft},
                   {"weights", Align::kLeft},
                   {"output", Align::kLeft},
                   {"forward ms"},
                   {"backward ms"},
                   {"GFLOP"},
                   {"GFLOP/s"},
                   {"GB/s"},
                   {"roofline"}});
  Work forward;
  Work backward;
  for (const ProfiledLayer& layer : profile.layers) {
    const Work sum = Sum(layer);
    table.AddRow({layer.name, layer.kind, fmt::format("{}", fmt::join(layer.weight, "x")),
                  fmt::format("{}", fmt::join(layer.output, "x")), Milliseconds(layer.forward.seconds),
                  Milliseconds(layer.backward.seconds), Giga(sum.flops), Giga(Ratio(sum.flops, sum.seconds)),
                  Giga(Ratio(sum.bytes, sum.seconds)),
                  Percent(ShareOfRoofline(profile, layer.forward, layer.backward))});
    forward += layer.forward;
    backward += layer.backward;
  }
  table.AddRow({"between the layers", "", "", "", Milliseconds(profile.forward_between_layers),
                Milliseconds(profile.backward_between_layers), "", "", "", ""});
  Work all = forward;
  all += backward;
  const double seconds = all.seconds + profile.forward_between_layers + profile.backward_between_layers;
  table.AddRow({"all", "", "", "", Milliseconds(forward.seconds + profile.forward_between_layers),
                Milliseconds(backward.seconds + profile.backward_between_layers), Giga(all.flops),
                Giga(Ratio(all.flops, seconds)), Giga(Ratio(all.bytes, seconds)), ""});
  return table.Render();
}

Json WorkJson(const Work& work, const Roofline& roofline) {
  return {{"seconds", work.seconds},
          {"flops", work.flops},
          {"bytes", work.bytes},
          {"seconds_at_roofline", SecondsAt(roofline, work)}};
}

}  // namespace

Work& Work::operator+=(const Work& other) {
  seconds += other.seconds;
  flops += other.flops;
  bytes += other.bytes;
  return *this;
}

double SecondsAt(const Roofline& roofline, const Work& work) {
  return std::max(Ratio(work.flops, roofline.flops_per_second), Ratio(work.bytes, roofline.bytes_per_second));
}

std::string ProfileTable(const Profile& profile) {
  std::string out =
      fmt::format("profile of {}, phase {} of {}: batch {}, micro-batch {}, {}, on {}{}\n", profile.config,
                  profile.phase, profile.phases, WithThousands(profile.global_batch),
                  WithThousands(profile.micro_batch), profile.precision, profile.device,
                  profile.workers > 1 ? fmt::format("; {} workers, of which this is the first", profile.workers) : "");
  out += fmt::format(
      "roofline, measured before and after: {:.1f} GFLOP/s in a matrix product, {:.1f} GB/s in a copy of memory\n\n",
      profile.roofline.flops_per_second / 1e9, profile.roofline.bytes_per_second / 1e9);
  out += PartsTable(profile);
  out += fmt::format(
      "{} updates of {} to {} ms; {} examples/s\n\n", WithThousands(profile.updates),
      Milliseconds(profile.fastest_seconds), Milliseconds(profile.slowest_seconds),
      WithThousands(static_cast<int64_t>(Ratio(static_cast<double>(profile.global_batch), profile.seconds))));
  out += LayersTable(profile);
  out += Wrapped(
      fmt::format("layers were measured in other updates, of {} ms; FLOP are those of products and convolutions; bytes "
                  "those of inputs and outputs, each once",
                  Milliseconds(profile.seconds_with_layers)),
      110, 0);
  return out;
}

std::string ProfileJson(const Profile& profile) {
  Json json = {{"config", profile.config},
               {"device", profile.device},
               {"workers", profile.workers},
               {"threads", profile.threads},
               {"precision", profile.precision},
               {"phase", profile.phase},
               {"phases", profile.phases},
               {"begin_example", profile.begin_example},
               {"global_batch", profile.global_batch},
               {"micro_batch", profile.micro_batch},
               {"roofline",
                {{"flops_per_second", profile.roofline.flops_per_second},
                 {"bytes_per_second", profile.roofline.bytes_per_second}}},
               {"updates", profile.updates},
               {"seconds", profile.seconds},
               {"fastest_seconds", profile.fastest_seconds},
               {"slowest_seconds", profile.slowest_seconds}};
  Json& parts = json["parts"] = Json::array();
  for (const ProfiledPart& part : profile.parts) parts.push_back({{"name", part.name}, {"seconds", part.seconds}});
  json["seconds_with_layers"] = profile.seconds_with_layers;
  Json& layers = json["layers"] = Json::array();
  for (const ProfiledLayer& layer : profile.layers) {
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"weight", layer.weight},
                      {"output", layer.output},
                      {"calls", layer.calls},
                      {"forward", WorkJson(layer.forward, profile.roofline)},
                      {"backward", WorkJson(layer.backward, profile.roofline)}});
  }
  json["forward_between_layers"] = profile.forward_between_layers;
  json["backward_between_layers"] = profile.backward_between_layers;
  return json.dump(2) + '\n';
}

}  // namespace crescendo::report
