// `crescendo fetch`: gets a public data set, checks it, and puts it where LoadDatasets looks for it.
//
// The official files are downloaded into TO/NAME.part, where an interrupted download is taken up again, checked against
// the digest that their authors publish, unpacked, read as the loader would read them, and only then moved to their
// place. What is in place and good is never touched; what is in place and cannot be loaded is replaced.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

namespace crescendo::data {

struct FetchRequest {
  std::string name;  // cifar10, cifar100, mnist or fashion_mnist

  // Where to take it from, if not from its authors: the address of the archive (for mnist and fashion_mnist, of the
  // folder that holds the four files), the archive itself, or a folder that holds the archive or the unpacked files.
  // The digest of the authors is asked of all but unpacked files, for which it is not known.
  std::optional<std::string> from;

  std::string to = "data";
};

// UserError where the request or what `from` names is wrong; RunError, which says how to do it by hand, where the
// download fails. One line for each thing done goes to `tell`.
void Fetch(const FetchRequest& request, std::ostream& tell);

}  // namespace crescendo::data
