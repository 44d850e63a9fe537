#include "crescendo/data/image_kernel.h"

namespace crescendo::data {

void WriteImages(const ImageJob& job) {
  const auto pixels = static_cast<int32_t>(job.shape.height * job.shape.width);
  for (int64_t i = 0; i < job.count; ++i) {
    const Placement placement = DrawPlacement(job.augment, job.key, job.examples[i]);
    for (int32_t pixel = 0; pixel < pixels; ++pixel) WritePixel(job, i, placement, pixel);
  }
}

}  // namespace crescendo::data
