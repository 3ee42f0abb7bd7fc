package panamoe.model.family;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.checkpoint.rows.InMemory;
import panamoe.checkpoint.rows.JoinedRows;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.config.ModelConfig;
import panamoe.tensor.DType;

/**
 * The files of a model's adapters: PEFT's folder and llama.cpp's GGUF file. Adapters are given by
 * the names of weights in a checkpoint, with one for each expert; weights without an adapter are
 * left out. Immutable.
 */
public final class AdapterFiles {
  private final Family family;
  private final ModelConfig config;

  AdapterFiles(Family family, ModelConfig config) {
    this.family = family;
    this.config = config;
  }

  /**
   * Reads an adapter into memory.
   *
   * @param path a folder with PEFT's {@code adapter_config.json}, or a GGUF file
   * @throws CheckpointException if it is damaged, of a kind that is not supported, or of another
   *     model; names the first tensor
   */
  public Map<String, LowRank> read(Path path) {
    boolean folder = Files.isDirectory(path);
    try {
      AdaptedTensors tensors = folder ? ofPeft() : ofGguf();
      return tensors.ofTensors(
          folder
              ? PeftAdapter.read(path, tensors, transposed())
              : GgufAdapter.read(path, ExportedModel.architectureOfGguf(family)));
    } catch (CheckpointException e) {
      String message = e.getMessage();
      throw message.startsWith(path.toString())
          ? e
          : new CheckpointException(path + ": " + message, e);
    }
  }

  /**
   * Writes PEFT's folder, with experts stacked as in transformers 5.
   *
   * @param folder exists and is empty
   * @param base the name or path of the model; may be null
   * @throws IOException if a file cannot be written
   */
  public void writePeft(Path folder, Map<String, LowRank> adapters, String base)
      throws IOException {
    AdaptedTensors tensors = ofPeft();
    PeftAdapter.write(folder, tensors, tensors.toTensors(adapters, true), transposed(), base);
  }

  /**
   * Writes a GGUF file.
   *
   * @param file must not exist
   * @throws CheckpointException if llama.cpp has no such model
   * @throws IOException if the file cannot be written
   */
  public void writeGguf(Path file, Map<String, LowRank> adapters) throws IOException {
    AdaptedTensors tensors = ofGguf();
    GgufAdapter.write(
        file,
        ExportedModel.architectureOfGguf(family),
        tensors,
        tensors.toTensors(adapters, false));
  }

  /** Whether PEFT takes a stack of experts for matrices [in, out], as the family's class says. */
  private boolean transposed() {
    return family instanceof GptOss;
  }

  private AdaptedTensors ofPeft() {
    return new AdaptedTensors(config, family.recipes());
  }

  private AdaptedTensors ofGguf() {
    return new AdaptedTensors(
        config, GgufRecipes.of(ExportedModel.architectureOfGguf(family), config));
  }

  /**
   * A tensor to be written.
   *
   * @param parts of its elements, one after the other
   */
  static EncodedRows encoded(long[] shape, List<float[]> parts) {
    long columns = shape[shape.length - 1];
    List<RowSource> rows = new ArrayList<>();
    for (float[] part : parts) {
      MemorySegment elements = MemorySegment.ofArray(part);
      rows.add(new InMemory(DType.FLOAT32, part.length / columns, columns, elements));
    }
    return new EncodedRows(new RowTensor(shape, new JoinedRows(rows)), StoredType.F32);
  }

  /**
   * The elements of a stored tensor.
   *
   * @throws CheckpointException if one is NaN or infinite
   */
  static float[] finite(String tensor, float... elements) {
    for (float element : elements) {
      if (!Float.isFinite(element)) {
        throw new CheckpointException("%s holds a number that is %s", tensor, element);
      }
    }
    return elements;
  }
}
