package panamoe.checkpoint;

import java.nio.file.Path;
import panamoe.tensor.TensorScope;

/** The process that {@link CheckpointCrashTest} kills: saves checkpoint after checkpoint until then. */
final class SavingLoop {
  private SavingLoop() {}

  public static void main(String[] arguments) {
    Path directory = Path.of(arguments[0]);
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      SampleContents contents = new SampleContents(scope);
      CheckpointStore store = new CheckpointStore(directory, 2);
      long step = store.latest().map(Checkpoint::open).map(Checkpoint::step).orElse(0L);
      while (true) {
        store.save(contents.at(++step));
        System.out.println(step);
      }
    }
  }
}
