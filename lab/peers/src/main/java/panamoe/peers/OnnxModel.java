package panamoe.peers;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/**
 * Writes an ONNX model file with the field numbers of {@code onnx.proto}: one MoE layer, whose
 * weights are passed to the runtime separately.
 */
final class OnnxModel {
  /** A {@code TensorProto.DataType}. */
  private static final int FLOAT = 1;

  /** An {@code AttributeProto.AttributeType}. */
  private static final int TYPE_FLOAT = 1;

  private static final int TYPE_INT = 2;
  private static final int TYPE_STRING = 3;

  private static final int IR_VERSION = 9;
  private static final int OPSET = 17;
  private static final int EXTERNAL = 1;

  private OnnxModel() {}

  /**
   * {@code y [T, M] = MoE(x [T, M], x router)}: router [M, E], up [E, F, M] (gated: [E, 2F, M], the
   * rows of both matrices interleaved), down [E, M, F].
   */
  static byte[] moe(int hidden, int inner, int experts, int topK, boolean gated) {
    ByteString choice = node("MatMul", "", new String[] {"x", "router"}, "logits");
    ByteString layer =
        node(
            "MoE",
            "com.microsoft",
            new String[] {"x", "logits", "up", "", "down"},
            "y",
            attribute("k", topK),
            attribute("activation_type", gated ? "swiglu" : "gelu"),
            attribute("normalize_routing_weights", topK > 1 ? 1 : 0),
            attribute("swiglu_fusion", gated ? 1 : 0),
            attribute("activation_alpha", 1f),
            attribute("activation_beta", 0f));
    ByteString graph =
        message(
            out -> {
              out.writeBytes(1, choice);
              out.writeBytes(1, layer);
              out.writeString(2, "layer");
              out.writeBytes(5, weight("router", hidden, experts));
              out.writeBytes(5, weight("up", experts, (gated ? 2 : 1) * inner, hidden));
              out.writeBytes(5, weight("down", experts, hidden, inner));
              out.writeBytes(11, tokens("x", hidden));
              out.writeBytes(12, tokens("y", hidden));
            });
    return message(
            out -> {
              out.writeInt64(1, IR_VERSION);
              out.writeBytes(7, graph);
              out.writeBytes(8, operators("", OPSET));
              out.writeBytes(8, operators("com.microsoft", 1));
            })
        .toByteArray();
  }

  private static ByteString node(
      String operator, String domain, String[] inputs, String output, ByteString... attributes) {
    return message(
        out -> {
          for (String input : inputs) {
            out.writeString(1, input);
          }
          out.writeString(2, output);
          out.writeString(4, operator);
          for (ByteString attribute : attributes) {
            out.writeBytes(5, attribute);
          }
          out.writeString(7, domain);
        });
  }

  private static ByteString attribute(String name, int value) {
    return attribute(name, TYPE_INT, out -> out.writeInt64(3, value));
  }

  private static ByteString attribute(String name, float value) {
    return attribute(name, TYPE_FLOAT, out -> out.writeFloat(2, value));
  }

  private static ByteString attribute(String name, String value) {
    return attribute(name, TYPE_STRING, out -> out.writeString(4, value));
  }

  private static ByteString attribute(String name, int type, Fields value) {
    return message(
        out -> {
          out.writeString(1, name);
          value.write(out);
          out.writeInt32(20, type);
        });
  }

  /** A weight with external data; the location, which ONNX requires, is never read. */
  private static ByteString weight(String name, long... shape) {
    ByteString location =
        message(
            out -> {
              out.writeString(1, "location");
              out.writeString(2, name);
            });
    return message(
        out -> {
          for (long size : shape) {
            out.writeInt64(1, size);
          }
          out.writeInt32(2, FLOAT);
          out.writeString(8, name);
          out.writeBytes(13, location);
          out.writeInt32(14, EXTERNAL);
        });
  }

  /** The type of a tensor [T, width]. */
  private static ByteString tokens(String name, int width) {
    ByteString any = message(out -> out.writeString(2, "T"));
    ByteString fixed = message(out -> out.writeInt64(1, width));
    ByteString shape =
        message(
            out -> {
              out.writeBytes(1, any);
              out.writeBytes(1, fixed);
            });
    ByteString tensor =
        message(
            out -> {
              out.writeInt32(1, FLOAT);
              out.writeBytes(2, shape);
            });
    ByteString type = message(out -> out.writeBytes(1, tensor));
    return message(
        out -> {
          out.writeString(1, name);
          out.writeBytes(2, type);
        });
  }

  private static ByteString operators(String domain, int version) {
    return message(
        out -> {
          out.writeString(1, domain);
          out.writeInt64(2, version);
        });
  }

  private static ByteString message(Fields fields) {
    ByteString.Output bytes = ByteString.newOutput();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    try {
      fields.write(out);
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // only memory is written to
    }
    return bytes.toByteString();
  }

  private interface Fields {
    void write(CodedOutputStream out) throws IOException;
  }
}
