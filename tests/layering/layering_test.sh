#!/usr/bin/env bash
# Our sources keep the table of layers, and a source tree that breaks it in four ways is reported for these four alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/layering.sh" "$here/../.."

expected='crescendo/cli/command.cpp:3: includes data; crescendo/cli: may include base schedule config report study train profile torch
crescendo/extra/tool.h:2: includes base; crescendo/extra: no row in the table of tests/layering/layering.sh
crescendo/nn/model.cpp:4: includes data; crescendo/nn: may include base schedule config device torch
crescendo/schedule/clock.h:2: includes torch; crescendo/schedule: may include base'
if reported=$("$here/layering.sh" "$here/broken"); then
  echo "layering.sh accepted tests/layering/broken" >&2
  exit 1
fi
diff <(echo "$expected") <(sort <<< "$reported")
