// crescendo fetch: get a public data set, checked.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "crescendo/cli/commands.h"
#include "crescendo/data/fetch.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  std::string name;
  std::string from;
  std::string to = "data";
};

}  // namespace

void AddFetchCommand(CLI::App& app, int& /*exit_code*/) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("fetch", "get a public data set, check it and lay it out for training");
  command->add_option("NAME", arguments->name, "cifar10, cifar100, mnist or fashion_mnist")->required();
  command->add_option("--from", arguments->from, "a file or folder that is here already, or another address");
  command->add_option("--to", arguments->to, "where data.folder looks for it")->default_str("data");
  command->footer(R"(Examples:
  crescendo fetch cifar10
  crescendo fetch cifar10 --from ~/Downloads/cifar-10-binary.tar.gz
  crescendo fetch fashion_mnist --to /data)");
  command->callback([arguments] {
    data::FetchRequest request;
    request.name = arguments->name;
    if (!arguments->from.empty()) request.from = arguments->from;
    request.to = arguments->to;
    data::Fetch(request, std::cerr);
  });
}

}  // namespace crescendo::cli
