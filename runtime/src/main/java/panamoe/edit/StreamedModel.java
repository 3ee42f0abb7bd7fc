package panamoe.edit;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.config.ModelConfig;
import panamoe.io.Require;
import panamoe.model.ModelTensors;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model that is written anew without being in memory: one tensor after the other is read and
 * written.
 *
 * @param source of its tensors
 */
public record StreamedModel(ModelConfig config, Edit.Source source) {
  private static final int PIECE = 1 << 20;

  /**
   * Saves it at step 0 with no optimizer moments, which a trainer then takes as zero.
   *
   * @param run config of the run whose model it is
   * @param directory of the checkpoints
   * @param files that the weights are cut into
   * @throws IllegalArgumentException if there are fewer tensors than files
   * @throws panamoe.checkpoint.CheckpointException if it could not be read or written
   */
  public SaveReport save(ObjectNode run, Path directory, int files) {
    requireFiles(files);
    Map<String, Elements> tensors = new TreeMap<>();
    ModelTensors.shapes(config)
        .forEach((name, shape) -> tensors.put(name, new Streamed(name, shape, source)));
    return save(config, tensors, run, directory, files);
  }

  /**
   * Writes a model whose tensors are in memory.
   *
   * @param tensors FLOAT32, all of the model's
   */
  public static SaveReport save(
      ModelConfig config,
      Map<String, Elements> tensors,
      ObjectNode run,
      Path directory,
      int files) {
    ObjectNode state = JsonNodeFactory.instance.objectNode().put("step", 0);
    return CheckpointStore.inFiles(directory, files)
        .save(new CheckpointContents(0, run, state, config.experts(), tensors, Map.of()));
  }

  /**
   * @throws IllegalArgumentException if there are fewer tensors than files
   */
  public void requireFiles(int files) {
    int tensors = ModelTensors.shapes(config).size();
    if (files < 1 || files > tensors) {
      throw Require.refusal(
          "the model's %s tensors cannot be written into %s files: expected 1 to %s",
          tensors, files, tensors);
    }
  }

  private record Streamed(String name, long[] shape, Edit.Source source) implements Elements {
    @Override
    public DType dtype() {
      return DType.FLOAT32;
    }

    @Override
    public void readBy(Reader reader) throws IOException {
      float[] values = source.read(name);
      try (Arena arena = Arena.ofConfined()) {
        int most = Math.min(PIECE, values.length);
        MemorySegment piece = arena.allocate(ValueLayout.JAVA_FLOAT, Math.max(1, most));
        for (int at = 0; at < values.length; at += PIECE) {
          int now = Math.min(PIECE, values.length - at);
          MemorySegment.copy(values, at, piece, ValueLayout.JAVA_FLOAT, 0, now);
          reader.read(piece.asSlice(0, (long) now * Float.BYTES));
        }
      }
    }
  }
}
