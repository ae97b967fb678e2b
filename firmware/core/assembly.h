/* Instructions on single registers of the FPU, by their numbers, for kernels in assembly. VMUL, VADD and VSUB take a
 * cycle where the instruction right behind them does not need their result. */
#ifndef EISHIL_CORE_ASSEMBLY_H
#define EISHIL_CORE_ASSEMBLY_H

#define MULTIPLY(out, a, b)    "vmul.f32 s" #out ", s" #a ", s" #b "\n\t"
#define ADD(sum, product)      "vadd.f32 s" #sum ", s" #sum ", s" #product "\n\t"
#define SUBTRACT(sum, product) "vsub.f32 s" #sum ", s" #sum ", s" #product "\n\t"
#define COPY(out, in)          "vmov s" #out ", " in "\n\t"

#endif
