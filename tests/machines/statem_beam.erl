%% Plays scripts on OTP's own gen_statem. In: one {Enters, Actions, Results, Steps} a line.
%% Out: the trace of each, one a line.
-module(statem_beam).
-export([main/2, init/1, callback_mode/0, handle_event/4, terminate/3]).

main(In, Out) ->
    {ok, Scripts} = file:consult(In),
    logger:set_primary_config(level, none),
    {ok, File} = file:open(Out, [write]),
    [io:format(File, "~w~n", [play(Script)]) || Script <- Scripts],
    file:close(File).

callback_mode() ->
    case get(enters) of
        true -> [handle_event_function, state_enter];
        _ -> handle_event_function
    end.

init({Enters, Actions, Results, To}) ->
    put(enters, Enters),
    put(results, Results),
    put(to, To),
    {ok, a, 0, Actions}.

handle_event(Type, Content, State, Data) ->
    get(to) ! {call, Type, Content, State, Data},
    case get(results) of
        [] -> keep_state_and_data;
        [Result | Results] -> put(results, Results), Result
    end.

terminate(Reason, State, Data) ->
    get(to) ! {terminate, Reason, State, Data}.

play({Enters, Actions, Results, Steps}) ->
    {ok, Pid} = gen_statem:start(?MODULE, {Enters, Actions, Results, self()}, []),
    [step(Pid, Contents) || Contents <- Steps],
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    heard().

%% The casts are all in the mailbox before the first is handled.
step(Pid, Contents) ->
    try
        sys:suspend(Pid),
        [gen_statem:cast(Pid, Content) || Content <- Contents],
        sys:resume(Pid),
        {State, Data} = sys:get_state(Pid),
        self() ! {rests, State, Data}
    catch
        exit:_ -> ended
    end.

heard() ->
    receive Message -> [Message | heard()] after 0 -> [] end.
