package panamoe.harness.export;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.DoubleConsumer;
import panamoe.checkpoint.HuggingFaceWriter;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.harness.OutputPlace;
import panamoe.io.WholeOrNothing;
import panamoe.model.family.ExportedModel;
import tools.jackson.databind.node.ObjectNode;

/** Writes a model as a Hugging Face folder. */
public final class ExportedFolder {
  private ExportedFolder() {}

  /**
   * Refuses a path that exists, or cannot be written.
   *
   * @throws IllegalArgumentException naming --out
   */
  public static void requireFree(Path out) throws IOException {
    try {
      WholeOrNothing.requireFree(out);
    } catch (FileAlreadyExistsException e) {
      throw new IllegalArgumentException(out + " already exists; choose another --out", e);
    }
    OutputPlace.requireFolder(out, "--out");
  }

  /**
   * Writes the folder, tensor by tensor; a failure leaves none.
   *
   * @param dtype F32 or BF16; null: the dtypes of the weights
   * @return bytes of the weights
   */
  public static long write(
      Path out,
      ExportedModel exported,
      StoredType dtype,
      ExportedTokenizer tokenizer,
      DoubleConsumer progress)
      throws IOException {
    Map<String, EncodedRows> tensors = ExportedModel.encoded(exported.tensors(), dtype);
    StoredType most =
        tensors.values().stream().anyMatch(tensor -> tensor.type() == StoredType.BF16)
            ? StoredType.BF16
            : StoredType.F32;
    ObjectNode config = exported.config(most);
    tokenizer.putInto(config);
    WholeOrNothing.make(
        out,
        hidden -> {
          Files.createDirectory(hidden);
          HuggingFaceWriter.write(hidden, tensors, progress);
          tokenizer.writeTo(hidden);
          Files.writeString(hidden.resolve("config.json"), config.toPrettyString() + "\n");
        });
    return tensors.values().stream().mapToLong(EncodedRows::bytes).sum();
  }
}
