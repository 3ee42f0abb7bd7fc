package panamoe.harness.chat;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import panamoe.data.Markers;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;

/** Hands pieces of a completion from the engine's thread to the printing thread. */
final class PieceQueue implements GenerationListener {
  private static final String END = new String();

  private final BlockingQueue<String> pieces = new LinkedBlockingQueue<>();
  // Written before END is put.
  private Generation generation;
  private RuntimeException failure;

  @Override
  public void wrote(String piece) {
    pieces.add(piece);
  }

  @Override
  public void marked(String name) {
    pieces.add(Markers.of(name));
  }

  @Override
  public void ended(Generation ended) {
    generation = ended;
    pieces.add(END);
  }

  @Override
  public void failed(RuntimeException why) {
    failure = why;
    pieces.add(END);
  }

  /**
   * Passes the pieces to {@code onText} until the completion ends; special tokens come as {@link
   * Markers}.
   *
   * @throws InterruptedException if this thread is interrupted; the completion is then cancelled
   * @throws RuntimeException if the completion failed
   */
  @SuppressWarnings("ReferenceEquality")
  Generation await(GenerationHandle handle, Consumer<String> onText) throws InterruptedException {
    try {
      for (String piece = pieces.take(); piece != END; piece = pieces.take()) {
        onText.accept(piece);
      }
    } catch (InterruptedException | RuntimeException e) {
      handle.cancel();
      throw e;
    }
    if (failure != null) {
      throw failure;
    }
    return generation;
  }
}
