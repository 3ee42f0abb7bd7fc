package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Map;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.op.Pass;
import panamoe.open.AdaptedBase;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.TrainedTensors;

/**
 * A language model for another framework. It reads tokens from the framework's off-heap memory and
 * exposes its parameters and gradients by name for the framework's optimizer, or for {@link AdamW}.
 * The module panamoe-text generates text with models.
 *
 * <p>A batch is {@code batch} sequences of {@code length} tokens: token ids and targets are INT32
 * [batch, length]; a target of -1 does not count. Parameters, gradients and logits are FLOAT32. All
 * memory is row-major, native, aligned to 4 bytes. Token ids are copied; a caller's arena cannot be
 * closed during a call. Only one thread at a time may call a {@link Device} and what was created on
 * it.
 *
 * {@snippet file="panamoe/api/TrainableModelExample.java" region="model"}
 *
 * <p>Saving a model and training it further, here with Panamoe's optimizer:
 *
 * {@snippet file="panamoe/api/CheckpointExample.java" region="checkpoint"}
 */
public final class TrainableModel implements AutoCloseable {
  static {
    Access.offer(
        TrainableModel.class, model -> new Access(model.backend(), model.lifetime, model::weights));
  }

  private final Device device;
  private final ModelSettings settings; // null for a model of a configuration
  private final LanguageModel model;
  private final Lifetime lifetime;
  private final Parameters parameters;
  private final Checkpoint source; // null for new parameters and those of a released model
  private final AdaptedBase base; // null without adapters

  /** With memory and values already. */
  private TrainableModel(
      Device device,
      ModelSettings settings,
      LanguageModel model,
      Checkpoint source,
      AdaptedBase base) {
    this.device = device;
    this.settings = settings;
    this.model = model;
    this.source = source;
    this.base = base;
    try {
      model.parameters().requireSameReplicas();
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
    this.lifetime = device.lifetime().begin("the model", model::close);
    this.parameters = new Parameters(model.parameters(), device.backend(), lifetime);
  }

  /**
   * Creates a model with random parameters from {@code seed}.
   *
   * @throws PanamoeException.BadArgument if an argument is null
   * @throws IllegalStateException if the device is closed or in use by another thread; all methods
   *     below that compute or access memory throw it too, and after {@link #close}
   */
  public static TrainableModel create(Device device, ModelSettings settings, long seed) {
    return create(device, settings, Execution.FLOAT32, seed);
  }

  /**
   * Creates a model in another precision or on several ranks. Each rank calls this with the same
   * settings and seed.
   *
   * @throws PanamoeException.BadArgument also if the model does not divide among the ranks
   * @throws PanamoeException.RanksFailed if a rank's settings or seed differ from the others'
   */
  public static TrainableModel create(
      Device device, ModelSettings settings, Execution execution, long seed) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              ModelConfig config = Argument.notNull("settings", settings).toConfig();
              return fresh(device, settings, config, execution, seed);
            });
  }

  /**
   * A new model from a configuration, block by block.
   *
   * @param config JSON of {@code model} in {@code config.json}; docs/models.md lists its keys
   * @throws PanamoeException.BadArgument if the configuration is invalid; the message names the key
   * @throws IllegalStateException like {@link #create(Device, ModelSettings, long)}
   */
  public static TrainableModel create(Device device, String config, long seed) {
    return create(device, config, Execution.FLOAT32, seed);
  }

  /** Creates a model from a configuration, in another precision or on several ranks. */
  public static TrainableModel create(
      Device device, String config, Execution execution, long seed) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              ModelConfig read =
                  ConfigJson.parse(Argument.notNull("config", config), ModelConfig.class, "config");
              return fresh(device, null, read, execution, seed);
            });
  }

  private static TrainableModel fresh(
      Device device, ModelSettings settings, ModelConfig config, Execution execution, long seed) {
    panamoe.parallel.Ranks ranks =
        Argument.notNull("execution", execution).alikeOn(device, config, Map.of("seed", seed));
    LanguageModel model = materialized(device, config, ranks, execution, seed, null);
    return new TrainableModel(device, settings, model, null, null);
  }

  /**
   * @param from holds its parameters; null: they are random
   */
  private static LanguageModel materialized(
      Device device,
      ModelConfig config,
      panamoe.parallel.Ranks ranks,
      Execution execution,
      long seed,
      ModelFolder from) {
    LanguageModel model = new LanguageModel(config, ranks);
    try {
      model.materialize(device.backend(), execution.precision().dtype(), true, seed);
      if (from != null) {
        ModelFiles.read(from, model, device.backend());
      }
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /** Loads a model in {@link Precision#FLOAT32}; see below. */
  public static TrainableModel load(Device device, Path folder) {
    return load(device, folder, Execution.FLOAT32);
  }

  /**
   * Loads a model to train it further: the latest checkpoint of a folder that {@link #save} or
   * {@code panamoe train} wrote, one checkpoint, or a released model (a folder in Hugging Face's
   * layout, or a GGUF file). If a save deletes the checkpoint meanwhile, a single rank loads the
   * newest. {@link AdamW#resume} continues its optimizer. Of saved adapters it loads the model that
   * they are of too, and trains them further. On several ranks all call it, and each reads its
   * part.
   *
   * @throws PanamoeException.BadModel if the model does not exist, is damaged or quantized, or
   *     cannot be trained
   * @throws PanamoeException.RanksFailed if ranks find different models
   * @throws java.util.concurrent.CancellationException if the thread was interrupted
   * @throws OutOfMemoryError if its parameters and gradients do not fit
   */
  public static TrainableModel load(Device device, Path folder, Execution execution) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              panamoe.parallel.Ranks ranks = Argument.notNull("execution", execution).on(device);
              Path place = Argument.notNull("folder", folder);
              return ranks.world().size() == 1
                  ? ModelFolder.read(place, found -> loaded(device, found, execution))
                  : loaded(device, ModelFiles.open(place, ranks), execution);
            });
  }

  private static TrainableModel loaded(Device device, ModelFolder found, Execution execution) {
    if (found.adapters() != null) {
      AdaptedBase base = ModelFiles.checkpoint(found).config(ModelFolder.BASE, AdaptedBase.class);
      return adapted(device, found, base, found.adapters(), execution, 0);
    }
    ModelConfig config = ModelFiles.trained(found);
    ModelFiles.require(found, config, device.backend());
    panamoe.parallel.Ranks ranks =
        execution.alikeOn(device, config, Map.of("weights", found.weights().sha256()));
    LanguageModel model = materialized(device, config, ranks, execution, 0, found);
    return new TrainableModel(device, null, model, ModelFiles.checkpoint(found), null);
  }

  /**
   * Loads a model and begins low-rank adapters of its matrices, which alone are trained: {@link
   * #parameters} are theirs, and the model's own weights stay as they are in its files, blocks too.
   * They take no gradients and no FLOAT32 copies. The adapters begin as nothing: B is zero. On
   * several ranks all call it.
   *
   * <p>{@link #save} saves the adapters, with the model's place: {@link #load}, {@code
   * MoeModel.open} and the command line read that folder.
   *
   * {@snippet file="panamoe/api/AdaptersExample.java" region="adapters"}
   *
   * @param folder of any model: a run, a released model, also in blocks, or a GGUF file
   * @param execution its precision is of activations, and of weights that are not in blocks
   * @param seed of A, and of each matrix's dropout
   * @throws PanamoeException.BadArgument if an argument is null, a target matches no matrix, or r
   *     is more than a side of one; the message names it
   * @throws PanamoeException.BadModel if the model does not exist, is damaged, or has adapters
   * @throws OutOfMemoryError if the weights and the adapters do not fit
   */
  public static TrainableModel adapt(
      Device device, Path folder, Adapters adapters, Execution execution, long seed) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              panamoe.parallel.Ranks ranks = Argument.notNull("execution", execution).on(device);
              Path place = Argument.notNull("folder", folder);
              AdapterConfig wanted = Argument.notNull("adapters", adapters).toConfig();
              ModelFolder found = ModelFiles.open(place, ranks);
              if (found.adapters() != null) {
                throw new CheckpointException("%s has adapters already", place);
              }
              AdaptedBase base = AdaptedBase.of(found, null);
              return adapted(device, found, base, wanted, execution, seed);
            });
  }

  /**
   * @param found the model, or saved adapters of it that are read
   */
  private static TrainableModel adapted(
      Device device,
      ModelFolder found,
      AdaptedBase base,
      AdapterConfig adapters,
      Execution execution,
      long seed) {
    panamoe.parallel.Ranks ranks =
        execution.alikeOn(
            device,
            found.config(),
            Map.of("weights", found.weights().sha256(), "adapters", adapters, "seed", seed));
    DType compute = execution.precision().dtype();
    LanguageModel model =
        base.load(
            found.config(), adapters, device.backend(), compute, seed, ranks, new ArrayList<>());
    Checkpoint saved = found.adapters() == null ? null : ModelFiles.checkpoint(found);
    try {
      if (saved != null) {
        new TrainedTensors(device.backend(), model, null).readWeights(saved);
        model.parameters().refresh(device.backend());
      }
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
    return new TrainableModel(device, null, model, saved, base);
  }

  /**
   * Saves the model and an optimizer's state in a folder, which {@link #load}, {@code
   * MoeModel.open} and the command line read. The folder keeps two checkpoints; a crash at any
   * moment leaves the previous one intact. Only one save at a time may run in a folder; nothing
   * checks whether {@code panamoe train}, or another program, saves there. For a model with a
   * {@code tokenizer.json}, copy that file into the folder; without it tokens are bytes. On several
   * ranks all call it.
   *
   * @return the checkpoint, a subfolder of {@code folder}
   * @throws PanamoeException.BadArgument if an argument is null, or the optimizer belongs to
   *     another model
   * @throws PanamoeException.BadModel if writing failed
   * @throws IllegalStateException also if the optimizer is closed, or this program saves another
   *     model there at the same time
   */
  public Path save(Path folder, AdamW optimizer) {
    Failures.translating(() -> Argument.notNull("optimizer", optimizer));
    return optimizer
        .lifetime()
        .use(
            () -> {
              Require.that(optimizer.model() == this, "the optimizer is another model's");
              return ModelFiles.save(
                  folder, optimizer.steps(), model, base, optimizer.tensors(), Map.of());
            });
  }

  /**
   * Saves the model with the state of the caller's own optimizer, on one rank.
   *
   * @param step number of steps taken, 0 or more
   * @param state native FLOAT32 memory by a name of letters, digits, points, hyphens and
   *     underscores; may be empty. {@link #readState} reads it back
   * @throws PanamoeException.BadArgument also if there are several ranks, or a name or a segment is
   *     wrong
   */
  public Path save(Path folder, long step, Map<String, MemorySegment> state) {
    return lifetime.use(
        () -> {
          Require.that(
              model.parameters().ranks().world().size() <= 1,
              "several ranks save the state of AdamW, and no other optimizer's");
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            Map<String, Tensor> own =
                ModelFiles.callers(new CallersMemory(device.backend(), scope), state);
            TrainedTensors tensors = new TrainedTensors(device.backend(), model, null);
            return ModelFiles.save(folder, step, model, base, tensors, own);
          }
        });
  }

  /** The number of steps before the save from which this was loaded; else 0. */
  public long stepsBefore() {
    return source == null ? 0 : source.step();
  }

  /**
   * Copies a state of the caller's own optimizer from the checkpoint that the model was loaded
   * from. Call it right after {@link #load}: a later save may delete the checkpoint.
   *
   * @param into exactly the saved number of FLOAT32
   * @throws PanamoeException.BadModel if the state does not exist or is damaged
   * @throws PanamoeException.BadArgument if the segment is null, of another size, read-only or
   *     confined to another thread
   */
  public void readState(String name, MemorySegment into) {
    lifetime.run(
        () -> {
          if (source == null) {
            throw new CheckpointException("the model was not loaded from a checkpoint");
          }
          ModelFiles.readCallers(source, device.backend(), Argument.notNull("name", name), into);
        });
  }

  /**
   * The settings of the model.
   *
   * @throws IllegalStateException if it was created from a configuration or a file
   */
  public ModelSettings settings() {
    if (settings == null) {
      throw new IllegalStateException(
          "the model was not made of settings; config() says what it is");
    }
    return settings;
  }

  /** The model's configuration as JSON, for {@link #create(Device, String, long)}. */
  public String config() {
    return Failures.translating(() -> ConfigJson.text(model.config()));
  }

  /** V, the number of token ids. */
  public int vocabulary() {
    return model.config().vocabulary();
  }

  /** The longest sequence in tokens. */
  public int context() {
    return model.config().context();
  }

  /** The number of parameters on this rank. */
  public long parameterCount() {
    return model.parameters().count();
  }

  /** The parameters and gradients by name. */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * Evaluates the model; deterministic.
   *
   * @param tokens INT32 [batch, length], ids
   * @param logits FLOAT32 [batch, length, vocabulary], receives for every token the logits of the
   *     next one; must not overlap a parameter or gradient
   * @throws PanamoeException.BadArgument if a segment is null, on the heap, too small, misaligned
   *     or confined to another thread, the logits are read-only or overlap a parameter or gradient,
   *     an id is outside the vocabulary, or the batch is empty or its sequences longer than the
   *     context
   * @throws PanamoeException.Diverged if a gate's input is not finite; a model without gates
   *     returns logits that are not finite
   * @throws IllegalStateException if the arena of a segment is closed before or during the call
   * @throws OutOfMemoryError if the tokens' activations do not fit; nothing was computed
   */
  public void forward(MemorySegment tokens, MemorySegment logits, int batch, int length) {
    TokenBatch.Given given = new TokenBatch.Given(tokens, null, batch, length);
    lifetime.run(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            CallersMemory memory = new CallersMemory(device.backend(), scope);
            TokenBatch sequences = new TokenBatch(model, memory, given, false);
            Tensor output = memory.output("logits", logits, sequences.tokens(), vocabulary());
            parameters.requireApart("logits", logits);
            Pass pass = Pass.inference(device.backend(), scope);
            parameters.round();
            memory.compute(() -> model.head().logitsInto(pass, sequences.hidden(pass), output));
            memory.giveBack("logits", output, logits);
          }
        });
  }

  /**
   * The mean cross-entropy of the counted targets, in nats, with the model in evaluation like
   * {@link #forward}.
   *
   * @param tokens INT32 [batch, length], ids
   * @param targets INT32 [batch, length], for every token the id that follows it, or -1
   * @throws PanamoeException.BadArgument like {@link #train}
   * @throws PanamoeException.Diverged like {@link #train}
   * @throws IllegalStateException like {@link #train}
   */
  public double loss(MemorySegment tokens, MemorySegment targets, int batch, int length) {
    TokenBatch.Given given = new TokenBatch.Given(tokens, targets, batch, length);
    return lifetime.use(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            CallersMemory memory = new CallersMemory(device.backend(), scope);
            TokenBatch sequences = new TokenBatch(model, memory, given, false);
            TokenBatch.Targets wanted = sequences.targets();
            Pass pass = Pass.inference(device.backend(), scope);
            parameters.round();
            return wanted.loss(model.head().losses(pass, sequences.hidden(pass), wanted.ids(), 0));
          }
        });
  }

  /**
   * Runs the model for training and keeps what the backward needs until the step is closed. Targets
   * of -1 mask tokens, for example a prompt's: the loss is the mean over the others.
   *
   * {@snippet file="panamoe/api/MaskedExample.java" region="masked"}
   *
   * @param tokens INT32 [batch, length], ids
   * @param targets INT32 [batch, length], for every token the id that follows it, or -1
   * @param seed of the gates' random numbers, if their rules use any
   * @throws PanamoeException.BadArgument if a segment is null, on the heap, too small, misaligned
   *     or confined to another thread, an id or a target is outside the vocabulary, no target
   *     counts, or the batch is empty or its sequences longer than the context
   * @throws PanamoeException.Diverged if the loss or a gate's input is not finite
   * @throws IllegalStateException if the arena of a segment is closed
   * @throws OutOfMemoryError if the tokens' activations do not fit; nothing was computed
   */
  public ModelStep train(
      MemorySegment tokens, MemorySegment targets, int batch, int length, long seed) {
    TokenBatch.Given given = new TokenBatch.Given(tokens, targets, batch, length);
    return lifetime.use(() -> new ModelStep(this, given, StepLosses::crossEntropy, seed));
  }

  /**
   * Like {@link #train}, for a student that also learns from a teacher.
   *
   * @throws PanamoeException.BadArgument like {@link #train}, and if the model has adapters
   * @throws PanamoeException.Diverged like {@link #train}
   */
  public ModelStep distil(
      MemorySegment tokens,
      MemorySegment targets,
      Teacher teacher,
      int batch,
      int length,
      long seed) {
    TokenBatch.Given given = new TokenBatch.Given(tokens, targets, batch, length);
    return lifetime.use(
        () -> {
          Require.that(
              base == null,
              "a model with adapters does not learn from a teacher: give distil a whole model");
          return new ModelStep(
              this, given, StepLosses.taught(Argument.notNull("teacher", teacher)), seed);
        });
  }

  /**
   * The log-probability of each sequence's counted targets, with the model in evaluation like
   * {@link #forward}: of answers, for the {@link Preference} of {@link #prefer}.
   *
   * @param tokens INT32 [batch, length], ids
   * @param targets INT32 [batch, length], for every token of an answer the id that follows it,
   *     otherwise -1
   * @return [batch] in nats, of this rank's sequences
   * @throws PanamoeException.BadArgument like {@link #train}, and if a sequence has no target that
   *     counts
   * @throws IllegalStateException like {@link #train}
   */
  public double[] logProbabilities(
      MemorySegment tokens, MemorySegment targets, int batch, int length) {
    return logProbabilities(tokens, targets, batch, length, true);
  }

  /**
   * Like {@link #logProbabilities}, without the {@link Adapters}: the same weights are the
   * reference of their own adapters, also in the midst of training.
   */
  public double[] referenceLogProbabilities(
      MemorySegment tokens, MemorySegment targets, int batch, int length) {
    return logProbabilities(tokens, targets, batch, length, false);
  }

  private double[] logProbabilities(
      MemorySegment tokens, MemorySegment targets, int batch, int length, boolean adapted) {
    TokenBatch.Given given = new TokenBatch.Given(tokens, targets, batch, length);
    return lifetime.use(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            CallersMemory memory = new CallersMemory(device.backend(), scope);
            TokenBatch sequences = new TokenBatch(model, memory, given, false);
            TokenBatch.Targets wanted = sequences.targets();
            sequences.requireAnswers(wanted);
            Pass whole = Pass.inference(device.backend(), scope);
            Pass pass = adapted ? whole : whole.unadapted();
            parameters.round();
            Tensor hidden = sequences.hidden(pass);
            return model.head().logProbabilities(pass, hidden, sequences.texts(), wanted.ids());
          }
        });
  }

  /**
   * Like {@link #train}, for a model that learns to prefer answers. Sequence 2 i is a chosen
   * answer, sequence 2 i + 1 a rejected one to the same prompt; only an answer's tokens have
   * targets other than -1.
   *
   * {@snippet file="panamoe/api/PreferenceExample.java" region="preference"}
   *
   * @throws PanamoeException.BadArgument like {@link #train}, and if a sequence has no target that
   *     counts, or there are not two sequences and two log-probabilities for every pair
   * @throws PanamoeException.Diverged like {@link #train}
   */
  public ModelStep prefer(
      MemorySegment tokens,
      MemorySegment targets,
      Preference preference,
      int batch,
      int length,
      long seed) {
    TokenBatch.Given given = new TokenBatch.Given(tokens, targets, batch, length);
    return lifetime.use(
        () ->
            new ModelStep(
                this,
                given,
                StepLosses.preferring(Argument.notNull("preference", preference)),
                seed));
  }

  /**
   * Frees the parameters, their gradients and the steps. Idempotent.
   *
   * @throws IllegalStateException if a call of its device is running, or a native call of the
   *     caller uses a parameter's memory; the model then stays open
   */
  @Override
  public void close() {
    lifetime.close();
  }

  Backend backend() {
    return device.backend();
  }

  Lifetime lifetime() {
    return lifetime;
  }

  /** The weights for inference kernels. Called inside a call of the device. */
  LanguageModel weights() {
    parameters.round();
    return model;
  }

  /** The checkpoint it was loaded from, or null. */
  Checkpoint source() {
    return source;
  }
}
