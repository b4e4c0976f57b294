# The same work on the BEAM. Each line of stdin is a command, each answer one line of JSON.
defmodule Counter do
  use GenServer
  def init(n), do: {:ok, n}
  def handle_call(:get, _from, n), do: {:reply, n, n}
  def handle_call(:pid, _from, n), do: {:reply, self(), n}
  def handle_call({:deep, depth}, _from, n), do: {:reply, deep(depth), n}
  def handle_cast(:add, n), do: {:noreply, n + 1}

  defp deep(0), do: 0
  defp deep(depth), do: 1 + deep(depth - 1)
end

defmodule Groups do
  def echo() do
    :pg.monitor_scope(:pg)
    :pg.join(:pg, :echo, self())
    echo_joins()
  end

  def echo_joins() do
    receive do
      {_, :join, {kind, _}, [pid | _]} when kind in [:seen, :last] -> send(pid, :seen)
      _ -> :ok
    end

    echo_joins()
  end

  # Connected, and the scopes of both nodes know each other.
  def meet(node, n) do
    true = Node.connect(String.to_atom(node))
    :pg.start(:pg)
    known(n)
  end

  def known(n), do: if(:pg.get_members(:echo) == [], do: known(n), else: n)

  def joins(n) do
    Bench.timed(n, fn ->
      Enum.each(1..n, fn i ->
        :ok = :pg.join({:seen, i}, self())
        receive(do: (:seen -> :ok))
      end)
    end)
  end

  def idle(n), do: Enum.map(1..n, fn _ -> spawn(fn -> Process.sleep(:infinity) end) end)

  def reads(n) do
    pids = idle(10)
    :ok = :pg.join(:read, pids)
    taken = Bench.timed(n, fn -> Enum.each(1..n, fn _ -> :pg.get_members(:read) end) end)
    Enum.each(pids, &Process.exit(&1, :kill))
    taken
  end

  def many(n) do
    pids = idle(10)

    taken =
      Bench.timed(n, fn ->
        Enum.each(1..div(n, 10), fn i -> :ok = :pg.join({:many, i}, pids) end)
        last(n)
      end)

    Enum.each(pids, &Process.exit(&1, :kill))
    last(-n)
    Enum.each([n, -n], fn i -> :pg.leave({:last, i}, self()) end)
    taken
  end

  def last(n) do
    :ok = :pg.join({:last, n}, self())
    receive(do: (:seen -> :ok))
  end
end

defmodule Names do
  def join(count, first) do
    Node.connect(String.to_atom(first))
    met(count - 1)
    :global.sync()
    true
  end

  def met(others), do: if(length(Node.list()) < others, do: met(others, Process.sleep(1)), else: :ok)
  def met(others, :ok), do: met(others)

  # When it began and when it ended, by the clock that Python's time.monotonic reads.
  def register(n) do
    pids = Groups.idle(n)
    names = Enum.map(1..n, fn i -> {node(), System.unique_integer(), i} end)
    all = Enum.zip(names, pids)
    began = :os.perf_counter(1_000_000)
    Enum.each(all, fn {name, pid} -> :yes = :global.register_name(name, pid) end)
    ended = :os.perf_counter(1_000_000)
    Enum.each(all, fn {name, pid} -> :global.unregister_name(name); Process.exit(pid, :kill) end)
    "[#{began / 1.0e6}, #{ended / 1.0e6}]"
  end

  # Leave these nodes, and return when they have noticed.
  def split(others) do
    Enum.each(others, &Node.disconnect/1)
    left(others)
  end

  def left(others), do: if(Enum.any?(others, &(&1 in Node.list())), do: left(others), else: true)

  # A process here has the name, as far as this node sees.
  def hold() do
    case :global.whereis_name(:held) do
      :undefined ->
        pid = spawn(fn -> Process.sleep(:infinity) end)
        :global.register_name(:held, pid)
        hold()

      pid ->
        if node(pid) in [node() | Node.list()], do: true, else: hold()
    end
  end

  # Seconds until all of them give one holder.
  def heal(others) do
    Bench.timed(1, fn ->
      Enum.each(others, fn other -> true = Node.connect(other) end)
      agree([node() | others])
    end)
  end

  def agree(nodes) do
    case Enum.uniq(Enum.map(nodes, &:erpc.call(&1, :global, :whereis_name, [:held]))) do
      [pid] when is_pid(pid) -> true
      _ -> agree(nodes)
    end
  end
end

defmodule Phoenix do
  use GenServer

  def init(boss) do
    send(boss, {:up, self()})
    {:ok, nil}
  end

  def handle_cast(:crash, _), do: raise("crash")
end

defmodule Bench do
  def hog(), do: hog(Enum.sum(1..1000))
  def hog(_), do: hog(Enum.sum(1..1000))

  def start(n), do: Enum.map(1..n//1, fn _ -> elem({:ok, _} = GenServer.start(Counter, 0), 1) end)

  def timed(n, work) do
    {micros, _} = :timer.tc(work)
    micros / n / 1_000_000
  end

  def with_hogs(hogs, work) do
    pids = Enum.map(1..hogs//1, fn _ -> spawn(&hog/0) end)
    result = work.()
    Enum.each(pids, &Process.exit(&1, :kill))
    result
  end

  def work("call", n) do
    {:ok, pid} = GenServer.start_link(Counter, 0)
    calls(pid, n)
  end

  def work("cast", n) do
    {:ok, pid} = GenServer.start_link(Counter, 0)
    casts(pid, n)
  end

  def work("start_stop", n) do
    timed(n, fn ->
      Enum.each(1..n, fn _ ->
        {:ok, pid} = GenServer.start_link(Counter, 0)
        GenServer.stop(pid)
      end)
    end)
  end

  def work("restart_latency", n) do
    child = %{id: :x, start: {GenServer, :start_link, [Phoenix, self()]}}
    {:ok, boss} = Supervisor.start_link([child], strategy: :one_for_one, max_restarts: 10_000_000)
    first = up()

    taken =
      timed(n, fn ->
        Enum.reduce(1..n, first, fn _, pid ->
          GenServer.cast(pid, :crash)
          up()
        end)
      end)

    Supervisor.stop(boss)
    taken
  end

  def work("async_await", n) do
    timed(n, fn -> Enum.each(1..n, fn i -> ^i = Task.await(Task.async(fn -> i end)) end) end)
  end

  def work("stream_2", n), do: stream(n, 2)
  def work("stream_100", n), do: stream(n, 100)

  def work("agent_update", n) do
    {:ok, pid} = Agent.start_link(fn -> 0 end)
    timed(n, fn -> Enum.each(1..n, fn _ -> Agent.update(pid, &(&1 + 1)) end) end)
  end

  def work("registry_lookup", n) do
    registry(:unique)
    {:ok, _} = Registry.register(Names, :key, 1)
    timed(n, fn -> Enum.each(1..n, fn _ -> Registry.lookup(Names, :key) end) end)
  end

  def work("registry_register", n) do
    registry(:unique)
    {:ok, _} = Registry.register(Names, :other, 1)

    timed(n, fn ->
      Enum.each(1..n, fn i ->
        {:ok, _} = Registry.register(Names, i, 1)
        Registry.unregister(Names, i)
      end)
    end)
  end

  def work("registry_via", n) do
    registry(:unique)
    via = {:via, Registry, {Names, :server}}
    {:ok, _} = GenServer.start_link(Counter, 0, name: via)
    calls(via, n)
  end

  def work("registry_dispatch", n) do
    registry(:duplicate)
    me = self()
    rounds = max(div(n, 1000), 1)
    Enum.each(1..1000, fn _ -> spawn(fn -> subscribe(me) end) end)
    Enum.each(1..1000, fn _ -> receive(do: (:ready -> :ok)) end)
    all = fn m -> Registry.dispatch(Names, :topic, &Enum.each(&1, fn {pid, _} -> send(pid, m) end)) end

    timed(rounds * 1000, fn ->
      Enum.each(2..rounds//1, fn _ -> all.(:message) end)
      all.(:last)
      Enum.each(1..1000, fn _ -> receive(do: (:done -> :ok)) end)
    end)
  end

  def work("registry_fill", n) do
    registry(:unique)
    timed(n, fn -> fill(n) end)
  end

  def work("registry_clean_up", n) do
    registry(:unique)
    me = self()
    pid = spawn(fn -> fill(n); send(me, :filled); Process.sleep(:infinity) end)
    receive(do: (:filled -> :ok))

    timed(n, fn ->
      Process.exit(pid, :kill)
      empty()
    end)
  end

  def stream(n, at_once) do
    timed(n, fn ->
      Enum.each(Task.async_stream(1..n, & &1, max_concurrency: at_once), fn {:ok, _} -> :ok end)
    end)
  end

  def up(), do: receive(do: ({:up, pid} -> pid))

  def registry(keys) do
    # Its partition is linked with this process, and ends with "shutdown".
    Process.flag(:trap_exit, true)
    if Process.whereis(Names), do: Supervisor.stop(Names)
    {:ok, _} = Registry.start_link(keys: keys, name: Names)
  end

  def fill(n), do: Enum.each(1..n, fn i -> {:ok, _} = Registry.register(Names, i, 1) end)
  def empty(), do: if(Registry.count(Names) > 0, do: empty())

  def subscribe(boss) do
    {:ok, _} = Registry.register(Names, :topic, nil)
    send(boss, :ready)
    listen(boss)
  end

  def listen(boss) do
    receive do
      :message -> listen(boss)
      :last -> send(boss, :done)
    end
  end

  def calls(pid, n), do: timed(n, fn -> Enum.each(1..n, fn _ -> GenServer.call(pid, :get) end) end)

  def casts(pid, n) do
    base = GenServer.call(pid, :get)

    timed(n, fn ->
      Enum.each(1..n, fn _ -> GenServer.cast(pid, :add) end)
      ^n = GenServer.call(pid, :get, 60_000) - base
    end)
  end

  def among(n, running) do
    pids = start(running)
    taken = work("start_stop", n)
    Enum.each(pids, &GenServer.stop/1)
    taken
  end

  def rss() do
    [_, pages | _] = String.split(File.read!("/proc/self/statm"))
    String.to_integer(pages) * 4096
  end

  def idle(n, depth) do
    before = rss()
    pids = start(n)
    if depth > 0, do: Enum.each(pids, &GenServer.call(&1, {:deep, depth}))
    (rss() - before) / n
  end

  def children(n) do
    specs = Enum.map(1..n, &%{id: &1, start: {GenServer, :start_link, [Counter, 0]}})
    began = System.monotonic_time(:microsecond)
    {:ok, pid} = Supervisor.start_link(specs, strategy: :one_for_one)
    up = System.monotonic_time(:microsecond)
    Supervisor.stop(pid)
    down = System.monotonic_time(:microsecond)
    "[#{(up - began) / 1.0e6}, #{(down - up) / 1.0e6}]"
  end

  def dynamic(n) do
    {:ok, pid} = DynamicSupervisor.start_link(strategy: :one_for_one)
    spec = %{id: :x, start: {GenServer, :start_link, [Counter, 0]}}
    began = System.monotonic_time(:microsecond)
    Enum.each(1..n, fn _ -> {:ok, _} = DynamicSupervisor.start_child(pid, spec) end)
    up = System.monotonic_time(:microsecond)
    DynamicSupervisor.stop(pid)
    down = System.monotonic_time(:microsecond)
    "[#{(up - began) / 1.0e6}, #{(down - up) / 1.0e6}]"
  end

  def far(node) do
    node = String.to_atom(node)
    true = Node.connect(node)
    GenServer.call({:bench, node}, :pid)
  end

  def command(["ready"]), do: ~s("#{System.version()} on OTP #{System.otp_release()}")

  def command(["serve"]) do
    {:ok, _} = GenServer.start(Counter, 0, name: :bench)
    {:ok, _} = :pg.start(:pg)
    spawn(&Groups.echo/0)
    true
  end

  def command(["remote_call", n, node]), do: calls(far(node), String.to_integer(n))
  def command(["remote_cast", n, node]), do: casts(far(node), String.to_integer(n))
  def command(["pg_join", n, node]), do: Groups.joins(Groups.meet(node, String.to_integer(n)))
  def command(["pg_members", n, node]), do: Groups.reads(Groups.meet(node, String.to_integer(n)))
  def command(["pg_many", n, node]), do: Groups.many(Groups.meet(node, String.to_integer(n)))

  def command(["join", count, first]), do: Names.join(String.to_integer(count), first)
  def command(["hold"]), do: Names.hold()
  def command(["split" | others]), do: Names.split(Enum.map(others, &String.to_atom/1))
  def command(["heal" | others]), do: Names.heal(Enum.map(others, &String.to_atom/1))
  def command(["global_register", n]), do: Names.register(String.to_integer(n))

  def command([row | numbers]) do
    case {row, Enum.map(numbers, &String.to_integer/1)} do
      {"among", [n, running]} -> among(n, running)
      {"idle", [n, depth]} -> idle(n, depth)
      {"children", [n]} -> children(n)
      {"dynamic", [n]} -> dynamic(n)
      {row, [n, hogs]} -> with_hogs(hogs, fn -> work(row, n) end)
    end
  end

  def main() do
    case IO.gets("") do
      line when is_binary(line) ->
        IO.puts(command(String.split(line)))
        main()

      _ ->
        System.halt(0)
    end
  end
end

# A report of each crash would be the larger part.
:logger.set_primary_config(:level, :none)
Bench.main()
