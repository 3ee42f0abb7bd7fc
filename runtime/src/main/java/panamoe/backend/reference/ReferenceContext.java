package panamoe.backend.reference;

/** What the families of reference kernels need from their backend. */
interface ReferenceContext {
  /** Runs a kernel call, and keeps it if a recording is under way. */
  void launch(Runnable call);
}
