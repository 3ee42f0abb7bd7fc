/** The C ABI seen from Java, and the loader of the native library. */
@SuppressWarnings("module") // compiled before the modules that it names
module panamoe.bindings {
  exports panamoe.bindings to
      panamoe.api,
      panamoe.runtime;
  exports panamoe.bindings.mpi to
      panamoe.runtime;
  exports panamoe.bindings.nccl to
      panamoe.runtime;
}
