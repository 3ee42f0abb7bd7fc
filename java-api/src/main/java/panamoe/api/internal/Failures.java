package panamoe.api.internal;

import java.nio.channels.ClosedByInterruptException;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import panamoe.api.PanamoeException;
import panamoe.bindings.NativeException;
import panamoe.checkpoint.CheckpointException;
import panamoe.comm.CommunicationException;
import panamoe.io.DataException;
import panamoe.io.MissingArtifact;
import panamoe.op.NotFinite;

/** Translates the runtime's exceptions to the facade's. */
public final class Failures {
  private Failures() {}

  /** Runs {@code body} and translates the runtime's exceptions. */
  public static <T> T translating(Supplier<T> body) {
    try {
      return body.get();
    } catch (NotFinite e) {
      throw new PanamoeException.Diverged(e.getMessage(), e);
    } catch (IllegalArgumentException e) {
      throw new PanamoeException.BadArgument(e.getMessage(), e);
    } catch (CheckpointException | DataException e) {
      if (interrupted(e)) { // not an error of the files
        throw (CancellationException) new CancellationException(e.getMessage()).initCause(e);
      }
      throw new PanamoeException.BadModel(e.getMessage(), e);
    } catch (CommunicationException e) {
      throw new PanamoeException.RanksFailed(
          e.getMessage(), e.getCause() == null ? e : e.getCause());
    } catch (NativeException e) {
      throw new PanamoeException.DeviceFailed(e.reason(), e);
    } catch (UnsatisfiedLinkError e) {
      throw new PanamoeException.DeviceFailed(e.getMessage(), e);
    } catch (LinkageError e) {
      throw MissingArtifact.sentence(e).map(sentence -> missing(sentence, e)).orElse(e);
    }
  }

  /** {@link #translating} for a body without a result. */
  public static void run(Runnable body) {
    translating(
        () -> {
          body.run();
          return null;
        });
  }

  private static boolean interrupted(Throwable failure) {
    return failure != null
        && (failure instanceof ClosedByInterruptException || interrupted(failure.getCause()));
  }

  private static LinkageError missing(String sentence, LinkageError cause) {
    LinkageError error = new NoClassDefFoundError(sentence);
    error.initCause(cause);
    return error;
  }
}
