package panamoe.backend.abi;

/** A call that gives a stream work, and that a capture keeps. */
interface StreamCall extends Runnable {
  /** Runs before each replay. */
  void bind();

  /** Work of another library. */
  record Foreign(Runnable before, Runnable work) implements StreamCall {
    @Override
    public void bind() {
      before.run();
    }

    @Override
    public void run() {
      before.run();
      work.run();
    }
  }
}
