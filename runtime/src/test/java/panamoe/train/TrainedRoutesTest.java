package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.MoeConfig;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TrainingData;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.routes.SequenceRoutes;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.op.Tape;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The forward of a trained MoE in a training step, over whole sequences, against the engine, which
 * reads prompts in chunks, writes token by token in a changing batch, shares prefixes, guesses and
 * preempts: no row's expert, weight or log probability differs in a bit.
 */
class TrainedRoutesTest {
  /** Rows of MoE layers in each form that are compared, at least. */
  private static final long ROWS = Long.getLong("panamoe.routes.rows", 2_000);

  private static final boolean LONG = ROWS > 100_000;
  private static final int STEPS = LONG ? 300 : 10;
  private static final int LENGTH = 64;
  private static final int LAYERS = 4;
  private static final ByteTokenizer TOKENIZER = new ByteTokenizer();

  /** The engine's ranks, and the threads of each; the trainer has the threads of the next one. */
  private enum Setting {
    ONE_THREAD(1, 1),
    FOUR_THREADS(1, 4),
    TWO_THREADS(1, 2),
    EXPERT_PARALLEL(2, 1);

    final Topology topology;
    final int threads;

    Setting(int ranks, int threads) {
      this.topology = new Topology(ranks, ranks, 1, 1);
      this.threads = threads;
    }

    int othersThreads() {
      return values()[(ordinal() + 1) % values().length].threads;
    }
  }

  /** How weights are held, by the engine and by the trainer. */
  private enum Form {
    FLOAT32(DType.FLOAT32, DType.FLOAT32, false),
    BFLOAT16(DType.BFLOAT16, DType.BFLOAT16, false),
    /** A CPU rounds rows to int8, in both. */
    Q8_0(DType.FLOAT32, DType.Q8_0, false),
    Q4_0_EXACT(DType.BFLOAT16, DType.Q4_0, true);

    final DType compute;
    final WeightTypes types;

    Form(DType compute, DType matrices, boolean exact) {
      this.compute = compute;
      this.types = new WeightTypes(compute, matrices).withExact(exact);
    }

    boolean inBlocks() {
      return types.quantized();
    }
  }

  /** A sequence of the engine. */
  private static class Text implements GenerationListener {
    final List<Integer> tokens = new ArrayList<>();
    final List<Float> logprobs = new ArrayList<>(); // of the last tokens
    SequenceRoutes routes;
    Generation generation;

    Text(int[] prompt) {
      Arrays.stream(prompt).forEach(tokens::add);
    }

    @Override
    public void prompted(List<TokenLogprobs> read) {
      read.forEach(each -> logprobs.add((float) each.logprob()));
    }

    @Override
    public void sampled(int token, TokenLogprobs own, int[] experts) {
      tokens.add(token);
      logprobs.add((float) own.logprob());
    }

    @Override
    public void ended(Generation end) {
      generation = end;
    }
  }

  @TempDir private static Path folders;

  private static ModelConfig model(ModelPresets.Architecture architecture) {
    ModelConfig tiny =
        ModelPresets.of(
            ModelPresets.Size.TINY, architecture, TOKENIZER.vocabularySize(), LENGTH, 8);
    BlockConfig moe =
        tiny.blocks().stream()
            .filter(block -> block.feedForward() instanceof MoeConfig)
            .findFirst()
            .orElseThrow();
    return tiny.withBlocks(Collections.nCopies(LAYERS, moe));
  }

  private static RunConfig run(ModelPresets.Architecture architecture, DType dtype) {
    return new RunConfig(model(architecture), TrainConfig.of(STEPS, 8, LENGTH).withDType(dtype), 1);
  }

  private static String read(String page) {
    try {
      return Files.readString(Path.of("../docs").resolve(page));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static final String TEXT = read("serving.md") + read("gating.md");

  private static TrainingData data() {
    return new TrainingData(Corpus.of(List.of(TEXT.split("\n\n"))), TOKENIZER, LENGTH, 1);
  }

  /** The checkpoint of a run; trains a run that is missing. */
  private static Path trained(RunConfig run, String name) {
    Path folder = folders.resolve(name);
    if (!Files.exists(folder)) {
      try (Backend backend = Backends.open("cpu", 2);
          LanguageModel model = new LanguageModel(run.model())) {
        model.materialize(backend, run.training().dtype(), true, run.seed());
        Trainer trainer = new Trainer(backend, model, run, data());
        while (!trainer.finished()) {
          trainer.next();
        }
        new RunCheckpoints(trainer, folder.resolve("checkpoints")).save();
      }
    }
    return folder;
  }

  private static InferenceSettings held(Form form) {
    return InferenceSettings.of(form.types);
  }

  @ParameterizedTest
  @EnumSource
  void areTheEngines(Form form, TestReporter reporter) {
    long rows = 0;
    List<ModelPresets.Architecture> architectures =
        List.of(ModelPresets.Architecture.MIXTRAL, ModelPresets.Architecture.DEEPSEEK);
    for (ModelPresets.Architecture architecture : architectures) {
      RunConfig run = run(architecture, form.compute);
      Path folder = trained(run, architecture + "-" + form.compute);
      for (Setting setting : Setting.values()) {
        boolean other = (setting.ordinal() + architectures.indexOf(architecture)) % 2 == 1;
        if (!LONG && other) {
          continue; // the other architecture's
        }
        long wanted = Math.ceilDiv(ROWS, architectures.size() * Setting.values().length);
        int count = (int) Math.max(8, Math.ceilDiv(wanted, LAYERS * (LENGTH - 1)));
        List<Text> texts = written(folder, form, setting, count);
        try (Backend backend = Backends.open("cpu", setting.othersThreads());
            LanguageModel model = trainer(backend, run, folder, form)) {
          for (int from = 0; from < count; from += 16) {
            List<Text> some = texts.subList(from, Math.min(count, from + 16));
            rows += compared(backend, model, form, some, architecture + ", " + setting);
          }
        }
      }
    }
    assertTrue(rows >= ROWS, rows + " rows");
    reporter.publishEntry(form + " rows", Long.toString(rows));
  }

  /** Texts that the engine writes, of LENGTH tokens each. */
  private static List<Text> written(Path folder, Form form, Setting setting, int count) {
    EngineConfig few = new EngineConfig(22, 8, 6, 20, 0, true, 2);
    return ThreadWorld.of(setting.topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(setting.topology, world, Strategy.FLAT, Overlap.NONE);
              List<Text> texts = new ArrayList<>();
              try (Backend backend = Backends.open("cpu", setting.threads);
                  LanguageModel model =
                      ModelFolder.open(folder)
                          .load(backend, held(form), ranks, new ArrayList<>(), _ -> {})) {
                Engine.onRanks(
                    backend, model, TOKENIZER, few, engine -> write(engine, count, texts));
              }
              ranks.close();
              return texts;
            })
        .getFirst();
  }

  private static void write(Engine engine, int count, List<Text> texts) {
    SequenceRoutes[] latest = new SequenceRoutes[1];
    engine.record(routes -> latest[0] = routes);
    Random random = new Random(count);
    for (int i = 0; i < count; i++) {
      int start = random.nextInt(3) * 100;
      int[] prompt = tokens(start, 20 + random.nextInt(20));
      GenerationRequest request =
          GenerationRequest.of(
                  prompt,
                  SamplingConfig.of(1, 0, 1, i),
                  new StopConfig(LENGTH - prompt.length, 0, List.of(), Set.of(), true, false))
              .withLogprobs(0);
      Text text =
          new Text(prompt) {
            @Override
            public void ended(Generation end) {
              super.ended(end);
              routes = latest[0];
            }
          };
      engine.submit(i % 3 == 0 ? request.with(Readout.LOGPROBS) : request, text);
      texts.add(text);
    }
    while (engine.step()) {
      engine.idle();
    }
    assertTrue(engine.interruptions() > 0, "none was preempted");
    assertTrue(
        texts.stream().anyMatch(text -> text.generation.sharedTokens() > 0),
        "no prefix was shared");
  }

  private static int[] tokens(int from, int count) {
    return TOKENIZER.encode(TEXT.substring(from, from + count));
  }

  /** The model as a training step holds it; blocks are packed, as beside adapters. */
  private static LanguageModel trainer(Backend backend, RunConfig run, Path folder, Form form) {
    if (form.inBlocks()) {
      return ModelFolder.open(folder).load(backend, held(form), new ArrayList<>());
    }
    LanguageModel model = new LanguageModel(run.model());
    model.materialize(backend, form.compute, true, 2);
    RunCheckpoints saved =
        new RunCheckpoints(new Trainer(backend, model, run, data()), folder.resolve("checkpoints"));
    saved.restore(
        RunCheckpoints.latest(folder.resolve("checkpoints"), run, Ranks.alone()).orElseThrow());
    return model;
  }

  /** Compares each row's routes and log probability; returns the number of rows of MoE layers. */
  private static long compared(
      Backend backend, LanguageModel model, Form form, List<Text> texts, String where) {
    int length = LENGTH - 1; // the last token is only predicted
    RouteLayout layout = new RouteLayout(RoutedLayer.of(model.config()));
    Map<Integer, int[]> experts = new HashMap<>();
    Map<Integer, float[]> weights = new HashMap<>();
    RouteObserver observer =
        (layer, routes) -> {
          experts.put(layer, routes.choice().toInts());
          weights.put(layer, routes.weight().toFloats());
        };
    float[] losses;
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tape tape = new Tape(backend);
      if (!form.inBlocks()) {
        model.parameters().watch(tape);
      }
      Pass pass =
          form.inBlocks()
              ? Pass.inference(backend, scope)
              : Pass.training(backend, scope, tape, 7, 1);
      int rows = texts.size() * length;
      Tensor ids = scope.allocate(DType.INT32, rows).set(shifted(texts, 0));
      Tensor targets = scope.allocate(DType.INT32, rows).set(shifted(texts, 1));
      Pass observed = pass.observedBy(observer);
      Sequences whole = Sequences.Whole.of(scope, rows, length);
      Tensor hidden = model.forward(observed, ids, whole, null, false);
      losses = model.head().losses(observed, hidden, targets, 1f / rows).toFloats();
    }
    long compared = 0;
    for (int i = 0; i < texts.size(); i++) {
      Text text = texts.get(i);
      assertEquals(length, text.routes.rows().size(), where);
      assertEquals(text.tokens.subList(0, length), boxed(text.routes.tokens()), where);
      for (int position = 0; position < length; position++) {
        int row = i * length + position;
        float[] found = text.routes.rows().get(position);
        for (int j = 0; j < layout.layers().size(); j++) {
          RoutedLayer layer = layout.layers().get(j);
          for (int k = 0; k < layer.topK(); k++) {
            int at = row * layer.topK() + k;
            String which = where + ", layer " + j + ", position " + position + ", choice " + k;
            assertEquals(experts.get(layer.layer())[at], layout.expert(found, j, k), which);
            assertEquals(weights.get(layer.layer())[at], layout.weight(found, j, k), which);
          }
          compared++;
        }
      }
      int unscored = text.tokens.size() - text.logprobs.size();
      for (int position = unscored; position < text.tokens.size(); position++) {
        assertEquals(
            -losses[i * length + position - 1],
            text.logprobs.get(position - unscored),
            where + ", log probability at " + position);
      }
    }
    return compared;
  }

  private static List<Integer> boxed(int[] tokens) {
    return Arrays.stream(tokens).boxed().toList();
  }

  private static int[] shifted(List<Text> texts, int by) {
    return texts.stream()
        .flatMapToInt(
            text -> text.tokens.subList(by, by + LENGTH - 1).stream().mapToInt(Integer::intValue))
        .toArray();
  }
}
