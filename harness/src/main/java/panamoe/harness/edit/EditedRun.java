package panamoe.harness.edit;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import panamoe.checkpoint.SaveReport;
import panamoe.harness.train.RunPath;
import panamoe.harness.train.RunTokenizer;
import panamoe.io.ConfigJson;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TextRecord;
import tools.jackson.databind.node.ObjectNode;

/**
 * The run folder that an edit writes.
 *
 * @param out the folder
 * @param text null if it is unknown
 * @param err receives warnings
 */
record EditedRun(
    Path out, RunConfig run, RunTokenizer tokenizer, TextRecord text, PrintWriter err) {
  private static final String REPORT = "edit.json";

  /** Saves the model as the run's checkpoint of step 0. */
  @FunctionalInterface
  interface Saving {
    SaveReport save(ObjectNode run, Path checkpoints);
  }

  /**
   * Writes the run, config.json last, which makes the folder a run. On failure, removes the written
   * files.
   */
  void write(Saving model, ObjectNode report) throws IOException {
    try (RunFolder folder = RunPath.create(out)) {
      try {
        model
            .save((ObjectNode) ConfigJson.tree(run), folder.checkpoints())
            .warnings()
            .forEach(warning -> err.println("warning: " + warning));
        folder.replace(REPORT, report.toPrettyString() + "\n");
        folder.begin(run, tokenizer.files(), text, null);
      } catch (IOException | RuntimeException | Error e) {
        folder.remove(REPORT, e);
        throw e;
      }
    }
  }
}
