package panamoe.checkpoint;

import java.nio.file.Path;
import panamoe.tensor.TensorScope;

/** The process that {@link CheckpointCrashTest} kills: saves step 3. */
final class OneSave {
  private OneSave() {}

  public static void main(String[] arguments) {
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      new CheckpointStore(Path.of(arguments[0]), 2).save(new SampleContents(scope).at(3));
    }
  }
}
