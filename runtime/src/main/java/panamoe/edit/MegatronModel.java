package panamoe.edit;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.DeepSpeedFolder;
import panamoe.checkpoint.torch.Namespace;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Heads;
import panamoe.config.ModelConfig;
import panamoe.io.Words;
import panamoe.model.ModelTensors;

/**
 * A GPT or MoE that Megatron-DeepSpeed trained, read from its own checkpoint: one file for each
 * tensor rank, one for each MoE layer, expert and tensor rank. Names and shapes are compared with
 * the training arguments first; weights are read one tensor at a time and widened to float32. Used
 * by one thread.
 */
public final class MegatronModel implements Edit.Source, AutoCloseable {
  private static final int PADDED_TO = 128;

  private final Path folder;
  private final List<MegatronFile> models = new ArrayList<>();
  private final List<MegatronFile> expert = new ArrayList<>();
  private String expertOpen = "";
  private final ModelConfig config;
  private final int ranks;
  private final int padded;
  private final boolean slicedExperts;
  private final Map<String, long[]> shapes;

  private MegatronModel(Path folder, int tokens) {
    this.folder = folder;
    try {
      MegatronFile first = MegatronFile.model(DeepSpeedFolder.model(folder, 0));
      models.add(first);
      if (!(first.value("args") instanceof Namespace(Map<String, Object> values))) {
        throw first.bad("has no args, which say what the model is");
      }
      MegatronArgs args = new MegatronArgs(first.path(), values);
      requireVersion(first);
      this.ranks = args.count("tensor_model_parallel_size", 1);
      this.padded = args.count("padded_vocab_size");
      requirePadded(args, tokens);
      this.config = config(args, tokens);
      this.slicedExperts = args.flag("enable_expert_tensor_parallelism", false);
      this.shapes = ModelTensors.shapes(config);
      requireExperts(first);
      for (int rank = 1; rank < ranks; rank++) {
        models.add(MegatronFile.model(DeepSpeedFolder.model(folder, rank)));
      }
      if (Files.exists(DeepSpeedFolder.model(folder, ranks))) {
        throw first.bad(
            "has args.tensor_model_parallel_size " + ranks + ", but there are more such files");
      }
      requireTensors();
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /**
   * Opens a checkpoint.
   *
   * @param folder from {@link DeepSpeedFolder#of}
   * @param tokens of the tokenizer; rows of padding after them are left out
   * @throws CheckpointException if a file is missing or damaged, or if the model is not supported
   */
  public static MegatronModel open(Path folder, int tokens) {
    return new MegatronModel(folder, tokens);
  }

  private static void requireVersion(MegatronFile file) {
    Object version = file.value("checkpoint_version");
    if (!(version instanceof Number number)
        || number.doubleValue() != 2 && number.doubleValue() != 3) {
      throw file.bad(
          "has a checkpoint_version other than 2 and 3, whose projections are fused head by head");
    }
  }

  private static ModelConfig config(MegatronArgs args, int tokens) {
    try {
      return MegatronConfig.of(args, tokens);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(args.file() + ": its args: " + e.getMessage(), e);
    }
  }

  private void requirePadded(MegatronArgs args, int tokens) {
    long multiple = (long) args.count("make_vocab_size_divisible_by", PADDED_TO) * ranks;
    if ((tokens + multiple - 1) / multiple * multiple != padded) {
      throw new CheckpointException(
          "%s: args.padded_vocab_size is %s, but a tokenizer of %s tokens is padded to a"
              + " multiple of %s; give the model's tokenizer.json by --tokenizer",
          args.file(), padded, tokens, multiple);
    }
  }

  private void requireExperts(MegatronFile file) {
    List<Integer> wanted = config.experts().stream().filter(count -> count > 0).toList();
    Object held = file.value("num_experts");
    if (held == null && wanted.isEmpty()) {
      return;
    }
    if (!(held instanceof List<?> counts)) {
      throw file.bad(
          "has no list num_experts: it is of a version that did not tell the experts of layers apart");
    }
    if (!counts.equals(wanted.stream().map(Integer::longValue).toList())) {
      throw file.bad("has other num_experts than its args say, which is " + wanted);
    }
  }

  /** Checks names and shapes in every file. */
  private void requireTensors() {
    Set<String> outside = new HashSet<>();
    Map<String, Set<String>> inside = new HashMap<>();
    for (String name : shapes.keySet()) {
      MegatronTensor tensor = tensor(name);
      String whole = "";
      for (MegatronFile file : files(tensor)) {
        whole = whole(tensor, file);
        file.require(whole, slice(name, tensor));
      }
      if (tensor.expert() < 0) {
        outside.add(whole);
      } else {
        inside.computeIfAbsent(key(tensor), _ -> new HashSet<>()).add(whole);
      }
    }
    models.forEach(file -> file.requireOnly(outside));
    inside.forEach(
        (key, names) -> {
          openExpert(key);
          expert.forEach(file -> file.requireOnly(names));
        });
  }

  private MegatronTensor tensor(String name) {
    return MegatronTensor.of(name, slicedExperts);
  }

  private static String whole(MegatronTensor tensor, MegatronFile file) {
    return tensor.expert() < 0 ? tensor.name() : file.nameEnding(tensor.name());
  }

  private long[] slice(String name, MegatronTensor tensor) {
    long[] shape = shapes.get(name).clone();
    if (tensor.join().ofFused()) {
      Heads heads = heads();
      shape[0] = (heads.query() + 2L * heads.keyValue()) * heads.size();
    } else if (isVocabulary(name)) {
      shape[0] = padded;
    }
    try {
      return tensor.join().slice(shape, ranks);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          models.getFirst().path() + ": " + name + ": " + e.getMessage(), e);
    }
  }

  private static boolean isVocabulary(String name) {
    return name.equals("embedding.weight") || name.equals("head.weight");
  }

  private Heads heads() {
    return ((GroupedQueryConfig) config.blocks().getFirst().attention()).heads();
  }

  private List<MegatronFile> files(MegatronTensor tensor) {
    if (tensor.expert() < 0) {
      return models;
    }
    openExpert(key(tensor));
    return expert;
  }

  /** The files of an expert, without their tensor rank. */
  private String key(MegatronTensor tensor) {
    long layer = config.experts().subList(0, tensor.layer()).stream().filter(n -> n > 0).count();
    return "layer_" + layer + "_expert_" + tensor.expert();
  }

  private void openExpert(String key) {
    if (key.equals(expertOpen)) {
      return;
    }
    closeExpert();
    for (int rank = 0; rank < ranks; rank++) {
      String name = Words.of("%s_mp_rank_%02d_model_states.pt", key, rank);
      expert.add(MegatronFile.expert(folder.resolve(name)));
    }
    expertOpen = key;
  }

  private void closeExpert() {
    expert.forEach(MegatronFile::close);
    expert.clear();
    expertOpen = "";
  }

  /** The model, with the gates of its training. */
  public ModelConfig config() {
    return config;
  }

  @Override
  public float[] read(String name) {
    MegatronTensor tensor = tensor(name);
    List<MegatronFile> files = files(tensor);
    int needed = tensor.join() == TensorJoin.WHOLE ? 1 : ranks;
    float[][] slices = new float[needed][];
    for (int rank = 0; rank < needed; rank++) {
      slices[rank] = files.get(rank).floats(whole(tensor, files.get(rank)));
    }
    long[] shape = shapes.get(name);
    float[] joined = tensor.join().of(slices, shape.length == 2 ? (int) shape[0] : 1, heads());
    return isVocabulary(name)
        ? Arrays.copyOf(joined, config.vocabulary() * config.hidden())
        : joined;
  }

  @Override
  public void close() {
    closeExpert();
    models.forEach(MegatronFile::close);
  }
}
