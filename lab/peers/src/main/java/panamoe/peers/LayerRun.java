package panamoe.peers;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import panamoe.harness.ComputeType;
import panamoe.io.Require;
import panamoe.lab.bench.Contender;
import panamoe.lab.bench.PeerRequest;

/** Runs layers, and keeps the weights between requests that differ only in tokens. */
final class LayerRun implements PeerRun {
  private static final long SEED = 1;

  private final PeerLibrary library;
  private final List<PeerLayer> layers = new ArrayList<>();
  private final List<PeerLayer.Batch> batches = new ArrayList<>();
  private PeerRequest.Work work;
  private int tokens;
  private Contender contender;

  LayerRun(PeerLibrary library) {
    this.library = library;
  }

  @Override
  public String version() {
    return library.version();
  }

  @Override
  public double[] burst(PeerRequest question) throws Exception {
    if (!question.work().equals(work)) {
      close(); // free the old weights before allocating new ones
      open(question.work());
    }
    if (question.tokens() != tokens) {
      closeBatches();
      open(question.tokens(), question.batches());
    }
    return contender.burst(question.seconds());
  }

  private void open(PeerRequest.Work wanted) throws Exception {
    Require.that(wanted.dtype() == ComputeType.F32, "dtype is %s, expected f32", wanted.dtype());
    for (int copy = 0; copy < wanted.copies(); copy++) {
      LayerWeights weights = new LayerWeights(wanted.shape(), SEED + copy);
      layers.add(library.layer(wanted.shape(), wanted.threads(), weights));
    }
    work = wanted;
  }

  private void open(int tokens, int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<float[]> inputs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      float[] x = new float[tokens * work.hidden()];
      for (int j = 0; j < x.length; j++) {
        x[j] = (float) random.nextGaussian();
      }
      inputs.add(x);
    }
    // Both input and layer change with every call.
    for (int i = 0; i < Math.max(count, layers.size()); i++) {
      batches.add(layers.get(i % layers.size()).over(inputs.get(i % count)));
    }
    this.tokens = tokens;
    contender = Contender.of(call -> batches.get(call % batches.size()).run());
  }

  private void closeBatches() {
    batches.forEach(PeerLayer.Batch::close);
    batches.clear();
    tokens = 0;
  }

  @Override
  public void close() {
    closeBatches();
    layers.forEach(PeerLayer::close);
    layers.clear();
    work = null;
  }
}
