package panamoe.lab.measurement;

import java.nio.file.Path;
import java.util.Set;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.engine.schedule.StepRows;
import panamoe.harness.train.TrainingText;
import panamoe.io.Words;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The effect of an int8 key/value cache on a model's predictions: bits per byte of the default
 * corpus's validation part with a float and with an int8 cache, and the divergence of the
 * next-token distributions. {@code lab/kv} runs it. Arguments: a model, f32 or bf16, number of
 * windows of the model's context.
 */
public final class CacheRounding {
  private CacheRounding() {}

  public static void main(String[] arguments) {
    ModelFolder folder = ModelFolder.open(Path.of(arguments[0]));
    DType dtype = arguments[1].equals("bf16") ? DType.BFLOAT16 : DType.FLOAT32;
    int length = folder.config().context();
    Corpus corpus = TrainingText.europarl(Set.of()).corpus();
    TokenWindows windows =
        new TokenWindows(
            corpus.tokens(Corpus.Part.VALIDATION, folder.tokenizer()), folder.tokenizer(), length);
    long count = Math.min(windows.count(), Long.parseLong(arguments[2]));
    EngineConfig config = EngineConfig.one(length);
    double[] nats = new double[2];
    double divergence = 0;
    double most = 0;
    long same = 0;
    long tokens = 0;
    long bytes = 0;
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = folder.load(backend, dtype);
        ModelRunner floats = new ModelRunner(backend, model, config);
        ModelRunner rounded = new ModelRunner(backend, model, config.withInt8Cache(true));
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, length);
      Tensor targets = scope.allocate(DType.INT32, length);
      float[] p = new float[model.config().vocabulary()];
      float[] q = new float[p.length];
      StepRows rows = new StepRows(config.stepTokens());
      for (int block = 0; block < config.blocks(); block++) {
        rows.change(0, block, block);
      }
      for (long window = 0; window < count; window++) {
        bytes += windows.fill(window, ids, targets).bytes();
        int[] read = ids.toInts();
        int[] next = targets.toInts();
        for (int start = 0; start < length; start += config.stepTokens()) {
          int end = Math.min(length, start + config.stepTokens());
          for (int i = start; i < end; i++) {
            rows.add(read[i], 0, i);
            rows.want();
          }
          floats.run(rows);
          rounded.run(rows);
          rows.clear();
          for (int i = start; i < end; i++) {
            int target = next[i];
            if (target < 0) {
              continue;
            }
            floats.logits(i - start, p);
            rounded.logits(i - start, q);
            double[] logP = logSoftmax(p);
            double[] logQ = logSoftmax(q);
            double kl = 0;
            for (int v = 0; v < p.length; v++) {
              kl += Math.exp(logP[v]) * (logP[v] - logQ[v]);
            }
            nats[0] -= logP[target];
            nats[1] -= logQ[target];
            divergence += kl;
            most = Math.max(most, kl);
            same += ModelReplay.largest(p) == ModelReplay.largest(q) ? 1 : 0;
            tokens++;
          }
        }
      }
    }
    System.out.println(
        Words.of(
            "%s, %s, %,d tokens: %.5f bits per byte with a float cache, %.5f with int8; divergence"
                + " %.2e nats a token, at most %.2e; the most probable token is the same for %.2f %%",
            folder.path().getFileName(),
            arguments[1],
            tokens,
            nats[0] / Math.log(2) / bytes,
            nats[1] / Math.log(2) / bytes,
            divergence / tokens,
            most,
            100.0 * same / tokens));
  }

  private static double[] logSoftmax(float[] logits) {
    double[] result = new double[logits.length];
    double peak = logits[ModelReplay.largest(logits)];
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - peak);
    }
    for (int i = 0; i < logits.length; i++) {
      result[i] = logits[i] - peak - Math.log(sum);
    }
    return result;
  }
}
