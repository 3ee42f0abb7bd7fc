package panamoe.harness.edit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Map;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.rows.LowRankRows;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.harness.export.ExportedFolder;
import panamoe.harness.export.ExportedTokenizer;
import panamoe.io.Words;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code edit --merge-lora}: adds an adapter to a model's matrices, row by row.
 *
 * @param out the new folder, in Hugging Face's layout
 */
record Merging(Path out, SharedOptions shared) {
  /** What was written. */
  record Report(Path model, Path adapter, int matrices, long bytes) {
    ObjectNode toJson() {
      ObjectNode json = JsonNodeFactory.instance.objectNode();
      return json.put("model", model.toString())
          .put("edit", "--merge-lora " + adapter)
          .put("matrices", matrices)
          .put("bytes", bytes);
    }

    String toText(Path folder) {
      return Words.of(
          "changed matrices %,10d%nbytes            %,10d%nwritten: %s", matrices, bytes, folder);
    }
  }

  Report merge(Path model, Path adapter) throws IOException {
    ExportedFolder.requireFree(out);
    return ModelFolder.read(model, folder -> merge(folder, adapter));
  }

  private Report merge(ModelFolder folder, Path adapter) {
    Map<String, LowRank> changes = folder.adapter(adapter);
    folder.noteOnAdapter(adapter).ifPresent(note -> shared.err().println("warning: " + note));
    StoredWeights weights = folder.weights();
    try (TensorFiles files = weights.checked();
        PartBar bar = PartBar.onStandardError("writing")) {
      weights.notes(files).forEach(note -> shared.err().println("warning: " + note));
      Map<String, RowSource> rows = weights.rows(files, folder.config());
      changes.forEach((name, change) -> rows.put(name, LowRankRows.of(rows.get(name), change)));
      ExportedTokenizer tokenizer = ExportedTokenizer.of(folder, shared.err());
      long bytes = ExportedFolder.write(out, folder.exported(rows), null, tokenizer, bar);
      return new Report(folder.path(), adapter, changes.size(), bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
