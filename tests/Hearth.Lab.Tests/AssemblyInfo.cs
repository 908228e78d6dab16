using Xunit.Sdk;
using Xunit.v3;

// One guest at a time: the lab has one slow CPU.
[assembly: Parallelization(Mode = ParallelMode.None)]
