package panamoe.backend.reference;

/** What the families of reference kernels need from their backend. */
interface ReferenceContext {
  /** Runs a kernel call; a capture keeps it. */
  void launch(Runnable call);
}
