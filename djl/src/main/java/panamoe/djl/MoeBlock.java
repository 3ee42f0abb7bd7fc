package panamoe.djl;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import panamoe.api.MoeLayer;
import panamoe.api.Precision;
import panamoe.io.Require;

/**
 * A {@link MoeLayer} in a network of another engine, for inference. The input is an array FLOAT32
 * [..., hidden], the output has its shape. PyTorch's contiguous arrays on the CPU are used without
 * a copy; other arrays, such as those on a GPU, are copied.
 *
 * <p>The layer's parameters are not {@link ai.djl.nn.Parameter}s: read and write them by {@link
 * #layer}. {@link ai.djl.Model#save} and {@link ai.djl.Model#load} include them. The caller that
 * created the layer closes it, after the network's last use.
 *
 * <p>Several threads may call it, such as predictors of one model, and save or load it: calls of
 * one {@link panamoe.api.Device} wait for each other, by the device's monitor. No thread may close
 * an input array during a call.
 *
 * {@snippet file="panamoe/djl/MoeBlockExample.java" region="network"}
 */
public final class MoeBlock extends AbstractBlock {
  private final MoeLayer layer;

  /**
   * A block of a layer. The caller closes the layer.
   *
   * @throws IllegalArgumentException if the layer's precision is not FLOAT32
   */
  public MoeBlock(MoeLayer layer) {
    if (layer.precision() != Precision.FLOAT32) {
      throw new IllegalArgumentException(
          "the layer's precision is " + layer.precision() + ", expected FLOAT32");
    }
    this.layer = layer;
  }

  /** The layer, with its parameters. */
  public MoeLayer layer() {
    return layer;
  }

  /**
   * @throws IllegalArgumentException if there is not one input, FLOAT32 [..., hidden]
   * @throws UnsupportedOperationException if {@code training}: DJL cannot take gradients of a block
   *     from another engine
   * @throws ai.djl.engine.EngineException if the device fails
   * @throws IllegalStateException if the layer is closed, or another caller than a block uses it
   */
  @Override
  protected NDList forwardInternal(
      ParameterStore parameters,
      NDList inputs,
      boolean training,
      PairList<String, Object> arguments) {
    if (training) {
      throw new UnsupportedOperationException(
          "a MoeBlock has no gradients: train the layer by MoeLayer.train, or the model by"
              + " TrainableModel");
    }
    getOutputShapes(inputs.getShapes());
    NDArray x = inputs.head();
    Require.that(
        x.getDataType() == DataType.FLOAT32, "the input is %s, expected FLOAT32", x.getDataType());
    return new NDList(forward(x));
  }

  private NDArray forward(NDArray x) {
    NDManager manager = x.getManager();
    if (ArrayMemory.isGiven(x)) {
      NDArray y = manager.create(x.getShape(), DataType.FLOAT32);
      compute(x, ArrayMemory.of(y));
      return y;
    }
    ByteBuffer y = ArrayMemory.allocate(x.size());
    compute(x, MemorySegment.ofBuffer(y));
    return manager.create(y, x.getShape(), DataType.FLOAT32);
  }

  private void compute(NDArray x, MemorySegment y) {
    if (x.size() == 0) {
      return;
    }
    MemorySegment input = ArrayMemory.of(x);
    Failures.translating(
        () -> {
          synchronized (layer.device()) {
            layer.forward(input, y, x.size() / layer.hidden());
          }
          return y;
        });
  }

  /**
   * @throws IllegalArgumentException if there is not one input [..., hidden]
   */
  @Override
  public Shape[] getOutputShapes(Shape[] inputs) {
    if (inputs.length != 1 || inputs[0].isScalar() || inputs[0].tail() != layer.hidden()) {
      throw Require.refusal(
          "the inputs have the shapes %s, expected one [..., %s]",
          Arrays.toString(inputs), layer.hidden());
    }
    return inputs;
  }

  @Override
  public void saveParameters(DataOutputStream file) throws IOException {
    super.saveParameters(file);
    synchronized (layer.device()) {
      SavedParameters.write(layer.parameters(), file);
    }
  }

  /**
   * @throws MalformedModelException if the file's parameters are not this layer's
   */
  @Override
  public void loadParameters(NDManager manager, DataInputStream file)
      throws IOException, MalformedModelException {
    super.loadParameters(manager, file);
    synchronized (layer.device()) {
      SavedParameters.read(layer.parameters(), file);
    }
  }
}
