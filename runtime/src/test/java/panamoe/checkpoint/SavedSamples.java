package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Path;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import panamoe.tensor.TensorScope;

/** A folder of saved samples, and the messages of refusals. */
abstract class SavedSamples {
  final TensorScope scope = TensorScope.confined(new ArenaMemory());
  final SampleContents written = new SampleContents(scope);
  final SampleContents read = new SampleContents(scope);

  @TempDir Path directory;

  @AfterEach
  void close() {
    scope.close();
  }

  final Path save(long step) {
    return new CheckpointStore(directory, 10).save(written.at(step)).directory();
  }

  final String refusal(Consumer<Checkpoint> action) {
    Path newest = new CheckpointStore(directory, 1).checkpoints().getLast();
    return assertThrows(CheckpointException.class, () -> action.accept(Checkpoint.open(newest)))
        .getMessage();
  }

  static String refusalOf(Path path) {
    return assertThrows(CheckpointException.class, () -> Checkpoint.open(path)).getMessage();
  }
}
