// What simd/simd.h declares is in metal_stdlib already.
#pragma once
