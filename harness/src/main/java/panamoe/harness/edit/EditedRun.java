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
 * The run that an edit makes.
 *
 * @param out its folder
 * @param text null if it is unknown
 * @param err receives warnings
 */
record EditedRun(
    Path out, RunConfig run, RunTokenizer tokenizer, TextRecord text, PrintWriter err) {
  private static final String REPORT = "edit.json";

  /** Saves the model as a run's checkpoint of step 0. */
  @FunctionalInterface
  interface Saving {
    SaveReport save(ObjectNode run, Path checkpoints);
  }

  /**
   * Writes the run; its config.json, which makes it one, is the last file. If that fails, it
   * removes what it wrote.
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
