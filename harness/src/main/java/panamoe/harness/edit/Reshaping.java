package panamoe.harness.edit;

import java.io.IOException;
import java.nio.file.Path;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.Shards;
import panamoe.edit.EditedModel;
import panamoe.edit.MegatronModel;
import panamoe.edit.StreamedModel;
import panamoe.harness.SharedOptions;
import panamoe.harness.train.Presets;
import panamoe.harness.train.RunPath;
import panamoe.harness.train.RunTokenizer;
import panamoe.io.Words;
import panamoe.model.ModelTensors;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.train.RunConfig;
import panamoe.train.TextRecord;
import panamoe.train.TrainConfig;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code edit --reshape}: copies a model into other files, tensor by tensor.
 *
 * @param out folder of the new run
 * @param files number of files for the weights
 * @param shared options of the command
 */
record Reshaping(Path out, int files, SharedOptions shared) {
  /** Summary of the new run. */
  record Report(Path model, StreamedModel written, int files) {
    private long parameters() {
      return ModelTensors.shapes(written.config()).values().stream().mapToLong(Tensor::count).sum();
    }

    ObjectNode toJson() {
      ObjectNode json = JsonNodeFactory.instance.objectNode();
      json.put("model", model.toString());
      json.put("edit", "--reshape");
      json.put("files", files);
      json.put("tensors", ModelTensors.shapes(written.config()).size());
      json.put("parameters", parameters());
      json.put("bytes", parameters() * DType.FLOAT32.bytes());
      ArrayNode layers = json.putArray("experts");
      written.config().experts().forEach(layers::add);
      return json;
    }

    String toText(Path folder) {
      return Words.of(
          "parameters     %,16d%nbytes          %,16d%nfiles          %,16d%nexperts by layer: %s%nwritten: %s",
          parameters(),
          parameters() * DType.FLOAT32.bytes(),
          files,
          written.config().experts(),
          folder);
    }
  }

  /** Reshapes a Panamoe checkpoint; its weights keep their bits. */
  Report own(Path model) throws IOException {
    ModelFolder folder = ModelFolder.ofRun(model);
    Checkpoint checkpoint = folder.checkpoint();
    RunPath.requireFree(out);
    TrainConfig training = RunConfig.trainingOf(checkpoint);
    long seed = checkpoint.config("seed", Long.class);
    try (Backend backend = shared.open();
        Shards shards = checkpoint.model()) {
      shards.requireExactly(ModelTensors.shapes(folder.config()));
      StreamedModel same =
          new StreamedModel(folder.config(), EditedModel.source(shards, folder.config(), backend));
      return write(
          new Report(checkpoint.directory(), same, files),
          new RunConfig(folder.config(), training, seed),
          RunTokenizer.of(folder),
          TextRecord.of(folder).orElse(null));
    }
  }

  /**
   * Reshapes a checkpoint of Megatron-DeepSpeed.
   *
   * @param folder of its files
   * @param tokenizer the model's tokenizer.json; null: bytes
   */
  Report megatron(Path folder, Path tokenizer) throws IOException {
    RunPath.requireFree(out);
    RunTokenizer tokens = RunTokenizer.read(tokenizer);
    int vocabulary = tokens.tokenizer().vocabularySize();
    try (MegatronModel source = MegatronModel.open(folder, vocabulary)) {
      TrainConfig training = Presets.training(source.config().context());
      return write(
          new Report(folder, new StreamedModel(source.config(), source), files),
          new RunConfig(source.config(), training, shared.seed()),
          tokens,
          null);
    }
  }

  private Report write(Report report, RunConfig run, RunTokenizer tokenizer, TextRecord text)
      throws IOException {
    shared.checked(() -> report.written().requireFiles(files));
    new EditedRun(out, run, tokenizer, text, shared.err())
        .write(
            (config, checkpoints) -> report.written().save(config, checkpoints, files),
            report.toJson());
    return report;
  }
}
