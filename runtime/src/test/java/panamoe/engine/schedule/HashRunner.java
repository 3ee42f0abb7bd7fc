package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.engine.EngineConfig;
import panamoe.engine.routes.RouteCounts;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.routes.Routing;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A model whose logits are pseudo-random: a hash of the whole sequence, read through its block
 * table, so that a wrong or reused block changes them. Routes depend on a row's token and position.
 * With a window, logits also depend on the last tokens, read from the windows' blocks.
 */
class HashRunner implements StepRunner {
  static final int VOCABULARY = 61;

  /** A prompt token after which the logits are NaN. */
  static final int NAN = 58;

  /** The first layer with NaN. */
  static final int NAN_LAYER = 3;

  /** A token that the model refuses. */
  static final int REFUSED = 59;

  static final List<RoutedLayer> LAYERS =
      List.of(new RoutedLayer(1, 4, 2), new RoutedLayer(3, 6, 1));

  // Above all tokens: with limited top-k a token has other keys and values.
  private static final int LIMITED = 64;

  private final EngineConfig config;
  private final int blockSize;
  private final int window;
  private final boolean ownBlocks;
  private final int[][][] tables;
  private final int[][][] caches;
  private final int[][][] windowCaches;
  private final RouteCounts counts = new RouteCounts(LAYERS);
  private StepPlan latest;
  private final Backend backend = new ReferenceBackend();
  private TensorScope scope;
  private Tensor logits;
  private int[] before;
  long rows;
  int steps;

  HashRunner(EngineConfig config, int ranks, int context) {
    this(config, ranks, context, 0, false);
  }

  /**
   * @param window of some layers; 0 for none
   * @param ownBlocks whether these layers have their own blocks
   */
  HashRunner(EngineConfig config, int ranks, int context, int window, boolean ownBlocks) {
    this.config = config;
    this.window = window;
    this.ownBlocks = ownBlocks;
    blockSize = config.blockSize();
    tables = new int[ranks][2 * config.sequences()][config.blocksOf(context)];
    caches = new int[ranks][config.blocks()][blockSize];
    windowCaches = new int[ranks][config.windowBlocks(window)][blockSize];
    for (int rank = 0; rank < ranks; rank++) {
      Arrays.stream(tables[rank]).forEach(table -> Arrays.fill(table, -1));
      Arrays.stream(caches[rank]).forEach(block -> Arrays.fill(block, -1));
      Arrays.stream(windowCaches[rank]).forEach(block -> Arrays.fill(block, -1));
    }
  }

  @Override
  public int window() {
    return ownBlocks ? window : 0;
  }

  @Override
  public int firstNonFiniteLayer(int[] tokens, int count, int[] topK) {
    return Arrays.stream(tokens, 0, count).anyMatch(token -> token == NAN) ? NAN_LAYER : -1;
  }

  @Override
  public void run(StepPlan plan) {
    List<float[]> wanted = new ArrayList<>();
    before = new int[plan.ranks()];
    latest = plan;
    steps++;
    for (int rank = 0; rank < plan.ranks(); rank++) {
      StepRows step = plan.rank(rank);
      for (int i = 0; i < step.changedSlots.size(); i++) {
        tables[rank][step.changedSlots.get(i)][step.changedIndices.get(i)] =
            step.changedBlocks.get(i);
      }
      for (int row = 0; row < step.count; row++) {
        int position = step.positions[row];
        int cached = step.tokens[row] + LIMITED * Arrays.hashCode(step.topK);
        block(rank, step.slots[row], position)[position % blockSize] = cached;
        windowBlock(rank, step.slots[row], position)[position % blockSize] = cached;
        if (step.tokens[row] == REFUSED) {
          throw new IllegalArgumentException("token " + REFUSED + " is refused");
        }
        List<RoutedLayer> layers = layers(step);
        counts.add(new RouteLayout(layers), routes(step.tokens[row], step.positions[row], layers));
      }
      rows += step.count;
      before[rank] = wanted.size();
      for (int i = 0; i < step.wantedCount; i++) {
        int row = step.wanted[i];
        wanted.add(after(rank, step.slots[row], step.positions[row]));
      }
    }
    close();
    scope = TensorScope.shared(backend);
    logits = scope.allocate(DType.FLOAT32, wanted.size(), VOCABULARY);
    for (int row = 0; row < wanted.size(); row++) {
      logits.rows(row, row + 1).set(wanted.get(row));
    }
  }

  private int[] block(int rank, int slot, int position) {
    return caches[rank][tables[rank][slot][position / blockSize]];
  }

  private int[] windowBlock(int rank, int slot, int position) {
    int own = config.windowSlot(slot);
    return ownBlocks
        ? windowCaches[rank][tables[rank][own][position / blockSize]]
        : block(rank, slot, position);
  }

  private float[] after(int rank, int slot, int position) {
    long hash = 17;
    boolean number = true;
    for (int i = 0; i <= position; i++) {
      int token = block(rank, slot, i)[i % blockSize];
      hash = 1_000_003 * hash + token;
      number &= Math.floorMod(token, LIMITED) != NAN;
    }
    for (int i = Math.max(0, position - window + 1); window > 0 && i <= position; i++) {
      hash = 1_000_003 * hash + windowBlock(rank, slot, i)[i % blockSize];
    }
    SplittableRandom random = new SplittableRandom(hash);
    float[] drawn = new float[VOCABULARY];
    for (int token = 0; token < VOCABULARY; token++) {
      drawn[token] = number ? (float) (4 * random.nextDouble()) : Float.NaN;
    }
    drawn[NAN] = -100; // never sampled
    drawn[REFUSED] = -100;
    return drawn;
  }

  @Override
  public Backend backend() {
    return backend;
  }

  @Override
  public Tensor output() {
    return logits;
  }

  @Override
  public int row(int rank, int wanted) {
    return before[rank] + wanted;
  }

  private static List<RoutedLayer> layers(StepRows step) {
    return step.topK == null
        ? LAYERS
        : new Routing(false, false, Arrays.stream(step.topK).boxed().toList()).of(LAYERS);
  }

  /** The routes of a row: for even tokens the second choice has the larger weight. */
  static float[] routes(int token, int position, List<RoutedLayer> layers) {
    RouteLayout layout = new RouteLayout(layers);
    float[] row = new float[layout.width()];
    for (int i = 0; i < layers.size(); i++) {
      RoutedLayer layer = layers.get(i);
      for (int k = 0; k < layer.topK(); k++) {
        int expert = (5 * token + position / 2 + i + k) % layer.experts();
        layout.set(row, i, k, expert, token % 2 == k ? 0.25f : 0.75f);
      }
      layout.setKept(row, i, (float) layer.topK() / LAYERS.get(i).topK());
    }
    return row;
  }

  @Override
  public List<RoutedLayer> layers() {
    return LAYERS;
  }

  @Override
  public void routes(int rank, int row, float[] into) {
    StepRows step = latest.rank(rank);
    if (!step.reportsRoutes) {
      throw new AssertionError("nobody asked for routes");
    }
    float[] routes = routes(step.tokens[row], step.positions[row], layers(step));
    System.arraycopy(routes, 0, into, 0, routes.length);
  }

  @Override
  public RouteStatistics statistics() {
    return counts.statistics();
  }

  @Override
  public void close() {
    if (scope != null) {
      scope.close();
    }
  }
}
