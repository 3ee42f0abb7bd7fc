package panamoe.model.family;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.tensor.Tensor;

/**
 * The recipes of a family's weights. Names are without {@code layers.N.} and without the expert's
 * index, such as {@code moe.experts.up.weight}; an encoder's begin with {@code encoder.}. Changed
 * by one thread.
 */
final class Recipes {
  private static final Pattern LAYER = Pattern.compile("(encoder\\.|)layers\\.(\\d+)\\.(.+)");
  private static final Pattern EXPERT = Pattern.compile("(.*\\.experts)\\.(\\d+)\\.(.+)");
  private static final int SHOWN = 20;

  /** Weights per stored byte at most: no type has less than 1.5 bits. */
  private static final int MOST_PER_BYTE = 6;

  private final String layer;
  private final String encoderLayer;
  private final Set<String> copies = new HashSet<>();
  private final Map<String, Recipe> byWeight = new HashMap<>();
  private boolean leavesLayersOut;

  /**
   * @param layer prefix of a layer's tensors, with %d for its index
   */
  Recipes(String layer) {
    this(layer, null);
  }

  /** With prefixes for a decoder's and an encoder's layers. */
  Recipes(String layer, String encoderLayer) {
    this.layer = layer;
    this.encoderLayer = encoderLayer;
  }

  /** Hugging Face's decoders, except the layers' experts. */
  static Recipes ofDecoder() {
    Recipes recipes =
        new Recipes("model.layers.%d.")
            .put("embedding.weight", Recipe.tensor("model.embed_tokens.weight"))
            .put("final_norm.weight", Recipe.tensor("model.norm.weight"))
            .put("head.weight", Recipe.tensor("lm_head.weight"))
            .put("attention_norm.weight", Recipe.tensor("input_layernorm.weight"))
            .put("mlp_norm.weight", Recipe.tensor("post_attention_layernorm.weight"))
            .put("attention.query_norm.weight", Recipe.tensor("self_attn.q_norm.weight"))
            .put("attention.key_norm.weight", Recipe.tensor("self_attn.k_norm.weight"));
    Map<String, String> projections =
        Map.of("query", "q_proj", "key", "k_proj", "value", "v_proj", "output", "o_proj");
    projections.forEach(
        (ours, theirs) -> {
          for (String kind : new String[] {".weight", ".bias"}) {
            recipes.put("attention." + ours + kind, Recipe.tensor("self_attn." + theirs + kind));
          }
        });
    return recipes.swiglu("mlp", "mlp");
  }

  /** Adds or replaces the recipe of a weight. */
  Recipes put(String weight, Recipe recipe) {
    byWeight.put(weight, recipe);
    return this;
  }

  /** Changes the recipes of weights. */
  Recipes change(UnaryOperator<Recipe> change, String... weights) {
    for (String weight : weights) {
      byWeight.compute(weight, (_, recipe) -> change.apply(recipe));
    }
    return this;
  }

  /** Names of duplicates of tensors. */
  Recipes again(String... names) {
    copies.addAll(Set.of(names));
    return this;
  }

  /** A SwiGLU whose matrices are called gate_proj, up_proj and down_proj. */
  Recipes swiglu(String weight, String name) {
    for (String kind : new String[] {".weight", ".bias"}) {
      put(
              weight + ".up" + kind,
              Recipe.joined(name + ".gate_proj" + kind, name + ".up_proj" + kind))
          .put(weight + ".down" + kind, Recipe.tensor(name + ".down_proj" + kind));
    }
    return this;
  }

  /**
   * Experts with a tensor each, or stacked as in transformers 5: [E, 2F, M], gates before ups, and
   * [E, M, F].
   *
   * @param name of the layer's MoE
   * @param stacked its name for stacked experts
   */
  Recipes experts(String name, String stacked, String gate, String up, String down) {
    String each = name + ".experts.*.";
    String stackedGate = stacked + ".gate.weight";
    String stackedUp = stacked + ".experts.gate_up_proj";
    String stackedDown = stacked + ".experts.down_proj";
    return put(
            "moe.gate.weight",
            Recipe.inModules(
                stackedGate, Recipe.tensor(stackedGate), Recipe.tensor(name + ".gate.weight")))
        .put(
            "moe.experts.up.weight",
            Recipe.inModules(
                stackedUp,
                Recipe.stacked(stackedUp),
                Recipe.joined(each + gate + ".weight", each + up + ".weight")))
        .put(
            "moe.experts.down.weight",
            Recipe.inModules(
                stackedDown, Recipe.stacked(stackedDown), Recipe.tensor(each + down + ".weight")));
  }

  /** Leaves out layers after the model's last, which are for multi-token prediction. */
  Recipes withoutFurtherLayers() {
    leavesLayersOut = true;
    return this;
  }

  /** The tensors of left-out layers. */
  List<String> leftOut(ModelConfig config, Set<String> tensors) {
    Pattern number = Pattern.compile(Pattern.quote(layer).replace("%d", "\\E(\\d{1,9})\\Q") + ".*");
    return tensors.stream()
        .filter(
            name -> {
              Matcher inLayer = number.matcher(name);
              return leavesLayersOut
                  && inLayer.matches()
                  && Integer.parseInt(inLayer.group(1)) >= config.layers();
            })
        .sorted()
        .toList();
  }

  /**
   * The rows of every weight of a model.
   *
   * @throws CheckpointException with up to 20 tensors that are missing, too many or of another
   *     shape than the configuration asks for
   */
  Map<String, RowSource> of(ModelConfig config, Lookup.Files files) {
    requirePossible(config, files);
    Map<String, RowSource> sources = new LinkedHashMap<>();
    Set<String> wrong = new LinkedHashSet<>();
    Set<String> used = new HashSet<>();
    ModelTensors.shapes(config)
        .forEach(
            (weight, shape) -> {
              try {
                sources.put(weight, source(config, weight, shape, files, used));
              } catch (CheckpointException e) {
                wrong.add(e.getMessage());
              }
            });
    if (config.head().tied()) {
      used.add("lm_head.weight"); // the embedding again
    }
    used.addAll(copies);
    used.addAll(leftOut(config, files.tensors().keySet()));
    files.tensors().keySet().stream()
        .filter(name -> !used.contains(name))
        .filter(name -> !name.endsWith(".rotary_emb.inv_freq")) // follows from the configuration
        .sorted()
        .forEach(name -> wrong.add("unexpected " + files.tensors().get(name).name()));
    if (!wrong.isEmpty()) {
      List<String> shown = new ArrayList<>(wrong).subList(0, Math.min(SHOWN, wrong.size()));
      String more = wrong.size() > SHOWN ? "; and " + (wrong.size() - SHOWN) + " more" : "";
      throw new CheckpointException(
          "the tensors do not fit the configuration: " + String.join("; ", shown) + more);
    }
    return sources;
  }

  /** Refuses many more weights than the files can hold, before names for all are made. */
  private static void requirePossible(ModelConfig config, Lookup.Files files) {
    long bytes = files.tensors().values().stream().mapToLong(StoredTensor::bytes).sum();
    try (LanguageModel model = new LanguageModel(config)) {
      long weights = model.parameters().count();
      if (weights / MOST_PER_BYTE > bytes) {
        throw new CheckpointException(
            "the configuration asks for %s weights, but the files hold %s bytes of tensors",
            weights, bytes);
      }
    }
  }

  /**
   * The inverse: the tensors that a model's weights are stored in, by name.
   *
   * @param weights the rows of every weight
   * @param modules whether they are those of transformers' modules, not of published files
   * @throws CheckpointException if this family has no tensor for a weight
   */
  Map<String, RowTensor> tensors(
      ModelConfig config, Map<String, RowSource> weights, boolean modules) {
    Placement.Tensors tensors = new Placement.Tensors(modules);
    ModelTensors.shapes(config)
        .forEach(
            (weight, shape) -> {
              Place place = place(config, weight);
              place
                  .recipe()
                  .give(
                      weights.get(weight),
                      new Placement(tensors, place.before(), place.block(), place.expert(), shape));
            });
    return tensors.all();
  }

  /** The recipe of a weight, and the values of its name's placeholders. */
  private record Place(Recipe recipe, String before, BlockConfig block, int expert) {}

  private Place place(ModelConfig config, String weight) {
    String key = weight;
    String before = "";
    int expert = 0;
    BlockConfig block = null;
    Matcher inLayer = LAYER.matcher(weight);
    if (inLayer.matches()) {
      boolean ofEncoder = !inLayer.group(1).isEmpty();
      int number = Integer.parseInt(inLayer.group(2));
      key = inLayer.group(1) + inLayer.group(3);
      before = Words.of(ofEncoder ? encoderLayer : layer, number);
      block = (ofEncoder ? config.encoder().blocks() : config.blocks()).get(number);
    }
    Matcher ofExpert = EXPERT.matcher(key);
    if (ofExpert.matches()) {
      expert = Integer.parseInt(ofExpert.group(2));
      key = ofExpert.group(1) + "." + ofExpert.group(3);
    }
    Recipe recipe = byWeight.get(key);
    if (recipe == null) {
      throw new CheckpointException("no tensor is known for " + weight);
    }
    return new Place(recipe, before, block, expert);
  }

  /**
   * The rows of a weight.
   *
   * @param used receives the names of the tensors that they are made of
   * @throws CheckpointException if a tensor is missing or of another shape
   */
  RowSource source(
      ModelConfig config, String weight, long[] shape, Lookup.Files files, Set<String> used) {
    Place place = place(config, weight);
    Set<String> found = new LinkedHashSet<>();
    Lookup lookup = new Lookup(files, place.before(), place.block(), place.expert(), shape, found);
    RowSource source = place.recipe().of(lookup);
    used.addAll(found);
    long rows = shape[0];
    long columns = Tensor.count(shape) / rows;
    if (source.rows() != rows || source.columns() != columns) {
      throw new CheckpointException(
          "%s make a matrix [%s, %s], expected [%s, %s]",
          String.join(" and ", found), source.rows(), source.columns(), rows, columns);
    }
    return source;
  }
}
