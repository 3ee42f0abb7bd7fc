package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.distill.Distillation;
import panamoe.edit.StreamedModel;
import panamoe.harness.ranks.BuildHash;
import panamoe.harness.ranks.RankRun;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import panamoe.model.ModelTensors;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TeacherRecord;
import tools.jackson.databind.node.ObjectNode;

/**
 * Trains a run on every rank of this process, after all ranks have compared settings and data.
 *
 * @param origin the released model whose weights a new run starts with; null: random weights
 * @param teacherCache folder of the teacher's cache; null: none
 * @param caller for messages
 */
record TrainingOnRanks(
    RankRun processes, ModelFolder origin, Path teacherCache, Invocation caller) {
  /**
   * Begins or resumes a run.
   *
   * @param begun tokenizer of a new run; null for a resumed run
   * @return empty if it was interrupted
   */
  Optional<TrainingResult> train(
      RunFolder folder, RunConfig config, TrainingInputs material, RunTokenizer begun)
      throws Exception {
    boolean fresh = begun != null;
    return agreed(
        config,
        false,
        (ranks, backend, stop) -> {
          if (ranks.first() && material.teacher() != null && teacherCache != null) {
            beginCache(config, material, backend); // before any other rank is past the next line
          }
          ranks.requireSame(
              () ->
                  Map.of(
                      "text of SHA-256", material.text().tokens().sha256(),
                      "tokenizer of SHA-256", material.tokenizer().sha256(),
                      "teacher of SHA-256", teacherSha(material)));
          if (fresh && ranks.first()) {
            folder.begin(
                config,
                begun.files(),
                material.text().record(),
                TeacherRecord.of(material.teacher()));
            if (origin != null && config.adapters() == null) {
              saveOrigin(folder, config, stop);
            }
          }
          return new TrainingRun(
                  ranks, backend, folder, config, material, teacherCache, fresh, caller)
              .run(stop);
        });
  }

  /** Checks that all processes find the run finished; trains nothing. */
  Optional<TrainingResult> finished(RunConfig config, TrainingResult outcome) throws Exception {
    return agreed(config, true, (_, _, _) -> Optional.of(outcome));
  }

  /**
   * Runs {@code body} after a check that all processes have equal settings and builds, and agree
   * whether the run is finished.
   *
   * @param complete whether this process finds the run finished
   */
  private Optional<TrainingResult> agreed(
      RunConfig config, boolean complete, RankRun.Body<Optional<TrainingResult>> body)
      throws Exception {
    return processes.run(
        (ranks, backend, stop) -> {
          ranks.requireSame(() -> settings(config, complete));
          return body.run(ranks, backend, stop);
        });
  }

  private static Map<String, String> settings(RunConfig config, boolean complete) {
    Map<String, String> settings = ConfigJson.values(ConfigJson.tree(config));
    settings.put("build of checksum", BuildHash.ofClasses());
    settings.put("native library of checksum", BuildHash.ofLibrary());
    // Completeness depends on file times; over a network file system, machines may see them late.
    settings.put(
        "in the run's folder, which must look the same on all machines,",
        complete ? "a finished run" : "an unfinished run");
    return settings;
  }

  /** Saves the checkpoint of step 0. */
  private void saveOrigin(RunFolder folder, RunConfig config, BooleanSupplier stop)
      throws InterruptedException {
    Map<String, long[]> shapes = ModelTensors.shapes(config.model());
    try (TensorFiles files = origin.weights().open()) {
      origin.weights().notes(files).forEach(note -> caller.err().println("warning: " + note));
      Map<String, Elements> tensors = new TreeMap<>();
      origin
          .weights()
          .rows(files, config.model())
          .forEach(
              (name, rows) ->
                  tensors.put(
                      name,
                      new Beginning(
                          origin.path() + " holds NaN or infinite values in " + name,
                          new EncodedRows(new RowTensor(shapes.get(name), rows), StoredType.F32),
                          stop)));
      StreamedModel.save(
              config.model(),
              tensors,
              (ObjectNode) ConfigJson.tree(config),
              folder.checkpoints(),
              1)
          .warnings()
          .forEach(warning -> caller.err().println("warning: " + warning));
    } catch (CancellationException _) {
      throw new InterruptedException();
    }
  }

  /**
   * The model's tensors in FLOAT32; writing them ends when the run is asked to stop.
   *
   * @param refusal message for a value that is not finite: every loss would be NaN
   */
  private record Beginning(String refusal, Elements elements, BooleanSupplier stop)
      implements Elements {
    @Override
    public DType dtype() {
      return elements.dtype();
    }

    @Override
    public long[] shape() {
      return elements.shape();
    }

    @Override
    public void readBy(Reader reader) throws IOException {
      try {
        elements.readBy(
            piece -> {
              if (stop.getAsBoolean()) {
                throw new CancellationException("the run was asked to stop");
              }
              reader.read(piece);
            });
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(refusal + "; it cannot be trained further", e);
      }
    }
  }

  private void beginCache(RunConfig config, TrainingInputs material, Backend backend)
      throws IOException {
    long bytes =
        Distillation.beginCache(
            config,
            material.teacher(),
            backend,
            material.text().tokens().sha256(),
            material.data().trainingSequences(),
            teacherCache);
    caller.err().println(Words.of("teacher's cache: up to %,d bytes in %s", bytes, teacherCache));
  }

  private static String teacherSha(TrainingInputs material) {
    return material.teacher() == null ? "none" : material.teacher().checkpoint().sha256();
  }
}
